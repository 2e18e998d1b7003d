"""`samuel-batch`: folders of thousands of voices, on all machines of a Ray cluster; what fails is listed, not fatal."""

from samuel_runtime.batch.command import main

__all__ = ["main"]
