"""`samuel-train`: one file for each command."""

from samuel_train.cli.group import main

__all__ = ["main"]
