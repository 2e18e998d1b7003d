"""`python -m samuel_runtime.cli` is `samuel-run`."""

from samuel_runtime.cli import main

main()
