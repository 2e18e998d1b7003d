"""`python -m samuel_runtime.serve` is `samuel-serve`."""

from samuel_runtime.serve import main

main()
