"""`samuel-run`: its options, one call of it, the files it writes, and what it says."""

from samuel_runtime.cli.command import main

__all__ = ["main"]
