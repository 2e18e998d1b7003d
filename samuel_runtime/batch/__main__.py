"""`python -m samuel_runtime.batch` is `samuel-batch`."""

from samuel_runtime.batch import main

main()
