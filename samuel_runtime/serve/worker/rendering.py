"""The worker that makes bands: one bundle, loaded once, and one job after the other, written as `samuel-run` writes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from samuel_runtime.audio.reading import AudioFile, resampled
from samuel_runtime.audio.writing import gain_under, peak_of, safe_gain, write_audio
from samuel_runtime.cli.render import RenderRequest, RenderResult, render
from samuel_runtime.errors import UnwritableError, UserError
from samuel_runtime.leadsheet.files.json_format import to_dict
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import Progress
from samuel_runtime.serve.jobs.request import Wanted
from samuel_runtime.serve.worker.config import RenderConfig
from samuel_runtime.serve.worker.outcomes import GivenUpError, outcome
from samuel_runtime.serve.worker.pipe import Pipe

VOICE_FILE = "voice.wav"
"""The voice as the mix has it: at the codec's rate and channel count, and as long as the bands to the sample."""
_REPORT_EVERY_S = 0.1

Tell = Callable[..., None]
"""Takes an event's values by name."""


def accompaniment_file(take: int) -> str:
    """Name of a take's band, takes counted from 1."""
    return f"accompaniment-{take}.wav"


def mix_file(take: int) -> str:
    """Name of a take's mix, takes counted from 1."""
    return f"mix-{take}.wav"


def backend_of(samuel: Samuel) -> dict[str, str]:
    """Provider and precision, for events."""
    return {"provider": samuel.backend.provider.value, "precision": samuel.backend.precision.value}


def work(config: RenderConfig, pipe: Pipe) -> None:
    """Make what is ordered, until an order ends with a defect: then a new process is the safer place."""
    try:
        samuel = Samuel.load(config.bundle, config.provider, config.threads)
    except UserError as error:
        pipe.tell(event="unready", detail=str(error))
        return
    pipe.tell(event="ready", **backend_of(samuel))
    for order in pipe.orders():
        voice, into, wanted = Path(order["voice"]), Path(order["into"]), Wanted.model_validate(order["wanted"])
        given_up = partial(pipe.is_cancelled, order["order"])
        ended = render_order(samuel, voice, into, wanted, pipe.tell, given_up)
        pipe.tell(**ended)
        if ended["event"] == "defect":
            return


def render_order(
    samuel: Samuel, voice: Path, into: Path, wanted: Wanted, tell: Tell, given_up: Callable[[], bool]
) -> dict[str, Any]:
    """Write voice, bands and mixes of an order; returns the event that it ends with.

    Args:
        samuel: what makes them.
        voice: the recording.
        into: an empty folder.
        wanted: settings.
        tell: takes all other events, in the thread of this call.
        given_up: whether nobody wants it any more; asked after every piece of work.
    """
    job = _RenderJob(samuel, voice, into, wanted, tell, given_up)

    def run() -> dict[str, Any]:
        try:
            return job.run()
        except UnwritableError as error:  # the folder is the server's: whoever sent the recording cannot mend it
            raise OSError(str(error)) from error

    return outcome(run, voice)


class _RenderJob:
    """One order, and the events of its way; called as a run's ``progress``."""

    def __init__(
        self, samuel: Samuel, voice: Path, into: Path, wanted: Wanted, tell: Tell, given_up: Callable[[], bool]
    ) -> None:
        self._samuel, self._voice, self._into, self._wanted = samuel, voice, into, wanted
        self._tell_event, self._given_up = tell, given_up
        self._take, self._told_s = 1, 0.0

    def run(self) -> dict[str, Any]:
        """Write voice, bands and mixes; returns the event of success.

        Raises:
            UserError: as :func:`samuel_runtime.cli.render.render`.
            GivenUpError: the server wants no more of it.
        """
        voice, settings = AudioFile.open(self._voice), self._wanted.settings()
        self._samuel.check(settings)
        takes = [
            RenderRequest(
                voice,
                replace(settings, seed=settings.seed + index),
                self._into / accompaniment_file(index + 1),
                self._into / mix_file(index + 1),
            )
            for index in range(self._wanted.variations)
        ]
        with ThreadPoolExecutor(1) as beside:  # listening leaves a processor idle
            gain = beside.submit(self._write_voice, voice)
            for number, result in enumerate(render(self._samuel, takes, self, self._heard), start=1):
                self._tell_event(event="take", result=self._described(number, result, voice, gain.result()))
                self._take = number + 1
        return {"event": "done", **backend_of(self._samuel)}

    def __call__(self, progress: Progress) -> None:
        """Tell how far the run is, and end it if nobody wants it any more."""
        if self._given_up():
            raise GivenUpError
        complete, now_s = progress.done >= progress.total, monotonic()
        if complete or now_s - self._told_s > _REPORT_EVERY_S:
            self._told_s = now_s
            self._tell(progress.stage, progress.done, progress.total)
        if complete and progress.stage == "decode":
            self._tell("write", 0, 1)

    def _tell(self, stage: str, done: int, total: int) -> None:
        self._tell_event(event="progress", take=self._take, stage=stage, done=done, total=total)

    def _heard(self, sheet: LeadSheet) -> None:
        self._tell_event(event="heard", lead_sheet=None if sheet.is_empty else to_dict(sheet))

    def _write_voice(self, voice: AudioFile) -> float:
        """Write the voice for the player; returns the gain that keeps it from clipping."""
        codec = self._samuel.manifest.codec

        def blocks() -> Any:
            return resampled(voice, codec.sample_rate_hz, codec.channels)

        return write_audio(self._into / VOICE_FILE, blocks, peak_of(blocks()), codec.sample_rate_hz)

    def _described(self, number: int, result: RenderResult, voice: AudioFile, voice_gain: float) -> dict[str, Any]:
        mix_gain = gain_under(voice.level.laid_out(self._samuel.manifest.codec.channels), result.level)
        band_gain = mix_gain * voice_gain / safe_gain(result.level.peak, result.take.accompaniment)
        return {
            "take": number,
            "seed": result.take.settings.seed,
            "guidance": result.guidance,
            "band_gain_db": float(20 * np.log10(band_gain)),
            "warnings": result.warnings,
            "seconds": result.seconds,
        }
