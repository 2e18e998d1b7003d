"""What the API answers: views of jobs and of the bundle."""

from __future__ import annotations

from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from samuel_runtime.bundle.manifest import GraphName, Manifest
from samuel_runtime.serve.downloads import Format, Part
from samuel_runtime.serve.jobs.job import STAGES, Job, State
from samuel_runtime.serve.jobs.queue import JobQueue
from samuel_runtime.serve.jobs.request import Wanted
from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.problems import ProblemView, view

ROOT = "/v1/accompaniments"


class ProgressView(BaseModel):
    """How far a running job is."""

    share: float = Field(description="Of the whole, 0 .. 1, by time.", examples=[0.4])
    take: int = Field(description="The one that is being made, from 1.", examples=[1])
    stage: str = Field(description=f"One of {', '.join(STAGES)}.", examples=["sample"])
    stages: dict[str, float] = Field(description="How much of each stage of this take is done, 0 .. 1.")


class TakeView(BaseModel):
    """A band that was made."""

    take: int = Field(description="From 1; the `take` of downloads.")
    seed: int = Field(description="Makes the same band again.")
    guidance: float
    band_gain_db: float = Field(description="What turns accompaniment.wav up to its level in the mix with voice.wav.")
    warnings: list[str] = Field(description="What may be worth acting on.")
    seconds: dict[str, float] = Field(description="Wall time by stage.")
    files: dict[str, dict[str, str]] = Field(description="Where accompaniment and mix are, by format.")


class JobView(BaseModel):
    """A job, as it is now."""

    id: str = Field(examples=["5d0a1c7e6f2b4a9c8e3d1f0b7a6c5e4d"])
    state: State
    position: int | None = Field(description="How many jobs are done before this one; null unless it waits.")
    seconds_left: float | None = Field(description="Until it is done; null if nobody knows.")
    accepted_at: datetime
    duration_s: float = Field(description="Of the voice.")
    settings: Wanted
    progress: ProgressView | None = Field(description="Null unless it runs.")
    lead_sheet: dict[str, Any] | None = Field(description="What the bands are played from, once it was heard.")
    lead_sheet_line: str = Field(description="The same, to be read.", examples=["92.0 bpm, 4/4, A minor: | Am . F . |"])
    chord_symbols: list[str] = Field(description="The names of its chords as musicians write them.")
    takes: list[TakeView]
    voice: dict[str, str] = Field(description="The voice as the mix has it, by format; empty until the job is done.")
    error: ProblemView | None = Field(description="Why it failed.")


class BundleView(BaseModel):
    """What the server runs, and what it takes."""

    version: str = Field(description="Of samuel.")
    takes_lead_sheet: bool
    hears_lead_sheet: bool
    sample_rate_hz: int
    channels: int
    timesteps: int = Field(description="The most steps.")
    window_s: float = Field(description="Duration that is sampled in one piece.")
    defaults: Wanted = Field(description="With the bundle's steps and guidance.")
    provenance: dict[str, str]
    most_minutes: float
    most_bytes: int
    most_takes: int
    keep_hours: float


def job_view(job: Job, queue: JobQueue) -> JobView:
    """As everybody may see it."""
    failure, done = job.failure, job.state is State.DONE
    status = HTTPStatus.UNPROCESSABLE_ENTITY if failure and failure.by_user else HTTPStatus.INTERNAL_SERVER_ERROR
    left_s = queue.left_s(job)
    return JobView(
        id=job.id,
        state=job.state,
        position=queue.position(job),
        seconds_left=None if left_s is None else round(left_s, 1),
        accepted_at=datetime.fromtimestamp(job.request.accepted_s, timezone.utc),
        duration_s=job.request.duration_s,
        settings=job.request.wanted,
        progress=_progress(job, queue) if job.running else None,
        lead_sheet=job.lead_sheet,
        lead_sheet_line=job.lead_sheet_line,
        chord_symbols=list(job.chord_symbols),
        takes=[
            TakeView(
                take=take.take,
                seed=take.seed,
                guidance=take.guidance,
                band_gain_db=take.band_gain_db,
                warnings=list(take.warnings),
                seconds={stage: round(seconds, 4) for stage, seconds in take.seconds.items()},
                files={
                    part.value: _links(job.id, part, take.take) if done else {}
                    for part in (Part.ACCOMPANIMENT, Part.MIX)
                },
            )
            for take in job.takes
        ],
        voice=_links(job.id, Part.VOICE, 1) if done else {},
        error=None if failure is None else view(status, failure.detail),
    )


def bundle_view(manifest: Manifest, limits: Limits, version: str) -> BundleView:
    """As everybody may see it."""
    model, codec = manifest.model, manifest.codec
    return BundleView(
        version=version,
        takes_lead_sheet=bool(model.sheet_channels),
        hears_lead_sheet=bool(model.sheet_channels) and GraphName.ESTIMATOR in manifest.graphs,
        sample_rate_hz=codec.sample_rate_hz,
        channels=codec.channels,
        timesteps=model.timesteps,
        window_s=model.frames * codec.hop_samples / codec.sample_rate_hz,
        defaults=Wanted(steps=model.steps, guidance=model.guidance),
        provenance=manifest.provenance,
        most_minutes=limits.longest_s / 60,
        most_bytes=limits.upload_bytes,
        most_takes=limits.takes,
        keep_hours=limits.keep_s / 3600,
    )


def _progress(job: Job, queue: JobQueue) -> ProgressView:
    place = STAGES.index(job.stage)
    shares = {stage: float(index < place) for index, stage in enumerate(STAGES)}
    shares[job.stage] = job.done / job.total if job.total else 0.0
    return ProgressView(share=queue.estimate.share_done(job), take=job.take, stage=job.stage, stages=shares)


def _links(job_id: str, part: Part, take: int) -> dict[str, str]:
    query = f"?take={take}" if part is not Part.VOICE else ""
    return {format.value: f"{ROOT}/{job_id}/{part.value}.{format.value}{query}" for format in Format}
