"""What a server makes of a worker's events, wherever the worker is; `pipe` lists them."""

from __future__ import annotations

from typing import Any

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.protocols import DefectError, JobCancelledError
from samuel_runtime.serve.worker.outcomes import NAME


def conclusion(event: dict[str, Any]) -> dict[str, str] | None:
    """Provider and precision of what is done; None if the order goes on.

    Raises:
        UserError, JobCancelledError, DefectError: as :meth:`samuel_runtime.serve.jobs.protocols.Renderer.render`.
    """
    if event["event"] == "done":
        return {"provider": event["provider"], "precision": event["precision"]}
    if event["event"] == "refused":
        raise _refusal(event)
    if event["event"] == "cancelled":
        raise JobCancelledError
    if event["event"] == "defect":
        raise DefectError
    return None


def duration_of(event: dict[str, Any]) -> float:
    """Seconds of a recording that was read.

    Raises:
        UserError: it is not in order.
    """
    if event["event"] == "read":
        return float(event["duration_s"])
    if event["event"] == "refused":
        raise _refusal(event)
    raise UserError(f"{NAME}: cannot be read as audio, by a fault of samuel's; the server's log says more")


def reader_ended(how: object) -> UserError:
    """What is said of a recording whose reader did not survive it."""
    return UserError(
        f"{NAME}: reading it ended with its reader ({how}); convert it with `ffmpeg -i {NAME} vocals.wav` and send that"
    )


def _refusal(event: dict[str, Any]) -> UserError:
    return UserError(*event["detail"].split("\n"))
