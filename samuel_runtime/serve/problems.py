"""Answers that say what is wrong: `application/problem+json` (RFC 9457), with the sentence of the command."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.queue import QueueFullError

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_LOG = logging.getLogger("samuel")


class ProblemView(BaseModel):
    """What is wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(description="A sentence: what is wrong with what, and what mends it.",
                        examples=["steps must be at least 1, not 0"])  # fmt: skip


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """``detail`` is a sentence."""
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def view(status: int, detail: str) -> ProblemView:
    """A problem with the title of its status."""
    return ProblemView(title=HTTPStatus(status).phrase, status=status, detail=detail)


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem as an answer."""
    content = view(status, detail).model_dump()
    return JSONResponse(content, status, dict(headers or {}), media_type="application/problem+json")


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These problems for the documentation of a route."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    """Have every error of an application answered so."""

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> JSONResponse:
        return answer(error.status, error.detail, error.headers)

    @app.exception_handler(UserError)
    async def user_error(request: Request, error: UserError) -> JSONResponse:
        return answer(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    @app.exception_handler(QueueFullError)
    async def queue_full(request: Request, error: QueueFullError) -> JSONResponse:
        return answer(HTTPStatus.TOO_MANY_REQUESTS, str(error), {"Retry-After": str(ceil(error.retry_after_s))})

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        detail = {
            404: f"there is nothing at {request.url.path}; /docs lists what is",
            405: f"{request.url.path} does not take {request.method}; /docs lists what it takes",
        }.get(error.status_code, str(error.detail))
        return answer(error.status_code, detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return answer(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['loc'][-1]}: {first['msg']}; /docs says what it takes")

    @app.exception_handler(OSError)
    async def disk(request: Request, error: OSError) -> JSONResponse:
        if error.errno not in _DISK_FULL:
            raise error
        _LOG.warning("the jobs' disk is full: %s", error)
        return answer(HTTPStatus.INSUFFICIENT_STORAGE, "the server's disk is full; try again later")
