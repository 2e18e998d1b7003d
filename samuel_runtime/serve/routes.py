"""The API's routes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from time import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.files import encoded
from samuel_runtime.leadsheet.files.json_format import from_dict
from samuel_runtime.pipeline import check_fits
from samuel_runtime.serve.downloads import Downloads, Format, Part
from samuel_runtime.serve.jobs.job import Job, State
from samuel_runtime.serve.jobs.protocols import Inspector, JobStore
from samuel_runtime.serve.jobs.queue import JobQueue
from samuel_runtime.serve.jobs.request import Request as JobRequest
from samuel_runtime.serve.jobs.request import Wanted
from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.metrics import Metrics
from samuel_runtime.serve.problems import ProblemError, described
from samuel_runtime.serve.schemas import ROOT, BundleView, JobView, bundle_view, job_view
from samuel_runtime.serve.security import CLIENT
from samuel_runtime.serve.upload import LEAD_SHEET, SETTINGS, VOICE, parsed_fields, receive_form

_EVENTS_EVERY_S = 0.2
_KEEP_ALIVE_S = 15.0  # below what proxies take for the end

Take = Annotated[int, Query(ge=1, le=1000, description="From 1.")]


class SheetFormat(str, Enum):
    """Suffixes of lead sheets."""

    JSON = "json"
    MIDI = "mid"


@dataclass(frozen=True)
class Service:
    """What the routes need."""

    manifest: Manifest
    queue: JobQueue
    store: JobStore
    downloads: Downloads
    inspector: Inspector
    limits: Limits
    metrics: Metrics
    version: str

    async def accepted(self, request: Request) -> Job:
        """The job that a form asks for, on disk.

        Raises:
            ProblemError, UserError, QueueFullError: it is not taken; nothing of it is left.
        """
        client = request.scope[CLIENT]
        with self.queue.place(client):
            job_id = secrets.token_hex(16)
            voice = await asyncio.to_thread(self.store.begin_upload, job_id)
            try:
                kind = request.headers.get("content-type", "")
                form = await receive_form(kind, request.stream(), voice, self.limits)
                wanted = await asyncio.to_thread(self._wanted, form)
                duration_s = await self.inspector.duration_s(voice)
                return await self.queue.accept(
                    JobRequest(id=job_id, client=client, accepted_s=time(), duration_s=duration_s, wanted=wanted)
                )
            finally:
                await asyncio.to_thread(self.store.discard_upload, job_id)  # what is left of it

    def job(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            ProblemError: there is none.
        """
        if (job := self.queue.get(job_id)) is None:
            hours = f"{self.limits.keep_s / 3600:g} hours"
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"there is no such job; bands are kept for {hours} after they are made"
            )
        return job

    def done(self, job_id: str) -> Job:
        """A job that is done.

        Raises:
            ProblemError: there is none, or it is not.
        """
        job = self.job(job_id)
        if job.state is not State.DONE:
            raise ProblemError(HTTPStatus.CONFLICT, f"the job is {job.state.value}, so there is nothing to hear yet")
        return job

    def _wanted(self, form: dict[str, bytes]) -> Wanted:
        wanted = Wanted.parse(parsed_fields(form))
        if wanted.variations > self.limits.takes:
            raise UserError(f"variations must be at most {self.limits.takes} here, not {wanted.variations}")
        check_fits(self.manifest, wanted.settings())
        return wanted.model_copy(update={"steps": self.manifest.model.denoising_steps(wanted.steps)})


def api(service: Service) -> APIRouter:
    """Everything below /v1."""
    router = APIRouter(tags=["accompaniments"])
    queue = service.queue

    @router.post(
        ROOT,
        status_code=HTTPStatus.ACCEPTED,
        response_model=JobView,
        responses=described(400, 408, 413, 415, 422, 429, 507),
        openapi_extra={"requestBody": _form()},
        summary="Ask for a band",
    )
    async def ask(request: Request, response: Response) -> Any:
        """Send a recording, and what is known of the song, as a form; the answer tells where to look for the band.

        Settings are fields of their own, or together in one field `settings` as a JSON object. An accepted job is
        kept on disk: it survives a crash of the server.
        """
        try:
            job = await service.accepted(request)
        except ClientDisconnect:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "the form ends early; send it again") from None
        response.headers["Location"] = f"{ROOT}/{job.id}"
        return job_view(job, queue)

    @router.get(f"{ROOT}/{{job_id}}", response_model=JobView, responses=described(404), summary="How far it is")
    async def look(job_id: str) -> Any:
        """State, place in the queue, progress, time left, lead sheet, and where the files are."""
        return job_view(service.job(job_id), queue)

    @router.get(
        f"{ROOT}/{{job_id}}/events",
        response_class=StreamingResponse,
        responses=described(404) | {200: {"content": {"text/event-stream": {}}}},
        summary="The same, whenever it changes",
    )
    async def watch(job_id: str) -> Any:
        """Server-sent events called `job`, whose data is a JobView; the last is of a job that has ended.

        `lead_sheet` is left out where it is that of the event before.
        """
        return StreamingResponse(_events(service.job(job_id), queue), media_type="text/event-stream")

    @router.delete(
        f"{ROOT}/{{job_id}}", status_code=HTTPStatus.NO_CONTENT, responses=described(404), summary="Remove it"
    )
    async def remove(job_id: str) -> None:
        """Cancel a job, if it has not ended, and remove all its files."""
        await queue.remove(service.job(job_id))

    @router.get(
        f"{ROOT}/{{job_id}}/lead-sheet.{{format}}",
        response_class=Response,
        responses=described(404, 409, 422),
        summary="What it was played from",
    )
    async def sheet(job_id: str, format: SheetFormat) -> Any:
        """The lead sheet as JSON or MIDI; either is taken as `lead_sheet` again, corrected or not."""
        job = service.job(job_id)
        if job.lead_sheet is None:
            raise ProblemError(HTTPStatus.CONFLICT, "nothing is known of the song, or not yet; give `bpm` or `chords`")
        name = f"lead-sheet.{format.value}"
        content = await asyncio.to_thread(encoded, from_dict(job.lead_sheet), Path(name))
        kind = "application/json" if format is SheetFormat.JSON else "audio/midi"
        return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    @router.get(
        f"{ROOT}/{{job_id}}/{{part}}.{{format}}",
        response_class=FileResponse,
        responses=described(404, 409, 416) | {200: {"content": {format.media_type: {} for format in Format}}},
        summary="Hear it",
    )
    async def hear(job_id: str, part: Part, format: Format, take: Take = 1) -> Any:
        """A file of a job that is done, whole or in ranges. WAV and FLAC hold the same 24-bit samples.

        `accompaniment.wav` is, byte for byte, what `samuel-run` writes for the same settings, and `mix.wav` what its
        `--mix` does; `voice.wav` is the voice as the mix has it.
        """
        job = service.done(job_id)
        try:
            path = await service.downloads.file(job.id, part, take, format)
            size = path.stat()
        except FileNotFoundError:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there are {len(job.takes)} takes, and no take {take}") from None
        name = path.name if part is not Part.VOICE else f"voice.{format.value}"
        return FileResponse(path, media_type=format.media_type, filename=name, stat_result=size)

    @router.get("/v1/bundle", response_model=BundleView, tags=["server"], summary="What runs here")
    async def bundle() -> Any:
        """What the server runs, its defaults, and the limits of what it takes."""
        return bundle_view(service.manifest, service.limits, service.version)

    return router


def health(service: Service) -> APIRouter:
    """For whoever runs the server."""
    router = APIRouter(tags=["server"])

    @router.get("/health/live", summary="Whether it answers")
    async def live() -> dict[str, str]:
        """Always, while it runs."""
        return {"status": "live"}

    @router.get("/health/ready", responses=described(503), summary="Whether jobs are done")
    async def ready() -> dict[str, str]:
        """Once a worker has loaded the bundle; jobs are accepted before that."""
        if (reason := service.queue.unready_reason) is not None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return {"status": "ready"}

    @router.get("/metrics", response_class=Response, summary="For Prometheus")
    async def metrics() -> Response:
        """Queue, durations by stage, real-time factor, errors."""
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    return router


async def _events(job: Job, queue: JobQueue) -> AsyncIterator[str]:
    """Of a job until it ends; comments in between keep the connection open."""
    sent: object = None
    while True:
        known = job.lead_sheet is sent and sent is not None
        data = job_view(job, queue).model_dump_json(exclude={"lead_sheet"} if known else None)
        sent = job.lead_sheet
        yield f"event: job\ndata: {data}\n\n"
        if job.state.ended or job.removed or queue.closed:
            return
        changed = job.changed(_KEEP_ALIVE_S)
        await asyncio.sleep(_EVENTS_EVERY_S)
        while not await changed:
            yield ": still there\n\n"
            changed = job.changed(_KEEP_ALIVE_S)


def _form() -> dict[str, Any]:
    """The body of a request, for the documentation: FastAPI does not see it, since it would keep it in memory."""
    properties: dict[str, Any] = {
        VOICE: {
            "type": "string",
            "format": "binary",
            "description": "WAV, FLAC, OGG, MP3 or AIFF, any rate and channels.",
        },
        SETTINGS: {"type": "string", "description": "All of what follows as one JSON object; fields replace parts."},
        **Wanted.model_json_schema()["properties"],
    }
    properties[LEAD_SHEET] = {
        "type": "string",
        "description": "A lead sheet: its JSON as text, or a JSON or MIDI file.",
    }
    schema = {"type": "object", "required": [VOICE], "properties": properties}
    example = {"seed": 7, "variations": 3, "bpm": 92, "key": "A minor", "chords": "Am F C G"}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "example": example}}}
