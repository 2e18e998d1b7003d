"""`python -m samuel_train.cli` is `samuel-train`, for launchers that want a module."""

from samuel_train.cli import main

main()
