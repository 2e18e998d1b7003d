"""`samuel-serve`: bands over HTTP, jobs that outlive the process, and a page for musicians."""

from samuel_runtime.serve.command import main

__all__ = ["main"]
