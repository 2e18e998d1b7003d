"""Jobs: what was asked, where it is kept on disk, whose turn it is, and how long it takes."""

from samuel_runtime.serve.jobs.job import Job, State
from samuel_runtime.serve.jobs.protocols import JobStore, Renderer
from samuel_runtime.serve.jobs.queue import JobQueue
from samuel_runtime.serve.jobs.request import Request, Wanted

__all__ = ["Job", "JobQueue", "JobStore", "Renderer", "Request", "State", "Wanted"]
