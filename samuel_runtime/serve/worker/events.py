"""What a server makes of a worker's events, wherever the worker is; `pipe` lists them."""

from __future__ import annotations

from typing import Any

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.protocols import DefectError, JobCancelledError


def conclusion(event: dict[str, Any]) -> dict[str, str] | None:
    """Provider and precision of what is done; None if the order goes on.

    Raises:
        UserError, JobCancelledError, DefectError: as :meth:`samuel_runtime.serve.jobs.protocols.Renderer.render`.
    """
    if event["event"] == "done":
        return {"provider": event["provider"], "precision": event["precision"]}
    if event["event"] == "refused":
        raise UserError(*event["detail"].split("\n"))
    if event["event"] == "cancelled":
        raise JobCancelledError
    if event["event"] == "defect":
        raise DefectError
    return None
