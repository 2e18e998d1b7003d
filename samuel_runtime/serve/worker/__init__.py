"""Processes that may die: one reads strangers' recordings, others make bands; and the server's ends of their pipes."""

from samuel_runtime.serve.worker.inspector import Inspector
from samuel_runtime.serve.worker.renderer import ProcessRenderer

__all__ = ["Inspector", "ProcessRenderer"]
