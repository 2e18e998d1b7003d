"""From files to files: plan which takes to make, make each one, report what came of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from samuel_runtime.audio.level import Level
from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.audio.writing import FORMATS, Band, check_encodable, check_target, peak_of, write_audio
from samuel_runtime.errors import UserError, with_options
from samuel_runtime.files import explained, is_folder, replacing, scratch_folder
from samuel_runtime.pipeline import Samuel, concerns
from samuel_runtime.progress import OnProgress
from samuel_runtime.settings import Settings

_LOUD_PEAK = 4.0  # 12 dB above full scale: no mix of the training data comes near


@dataclass(frozen=True)
class RenderRequest:
    """One accompaniment to make."""

    voice: AudioFile
    """The voice it is for."""
    settings: Settings
    """Its sampler, steps, guidance and seed."""
    accompaniment: Path
    """Where it goes."""
    mix: Path | None
    """Where voice and band together go, if wanted."""

    @property
    def passes(self) -> int:
        """How often audio of the voice's length is read or written."""
        return 2 if self.mix is None else 4


@dataclass(frozen=True)
class RenderResult:
    """One accompaniment, made."""

    take: RenderRequest
    """What was asked for."""
    guidance: float
    """The scale that it was guided with."""
    level: Level
    """Of the band as the model made it."""
    warnings: tuple[str, ...]
    """What a user may want to act on."""
    seconds: dict[str, float]
    """Wall time by stage."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        settings = self.take.settings
        return {
            "vocals": str(self.take.voice.path),
            "accompaniment": str(self.take.accompaniment),
            "mix": str(self.take.mix) if self.take.mix else None,
            "duration_s": self.take.voice.samples_count / self.take.voice.sample_rate_hz,
            "seed": settings.seed,
            "sampler": settings.sampler.value,
            "steps": settings.steps,
            "guidance": self.guidance,
            "peak": self.level.peak,
            "rms_db": None if self.level.silent else self.level.rms_db,
            "warnings": list(self.warnings),
            "seconds": {stage: round(value, 4) for stage, value in self.seconds.items()},
        }


def plan_requests(
    voices: list[Path], output: Path | str | None, mix: Path | str | None, settings: Settings, variations: int
) -> list[RenderRequest]:
    """Open every voice and name every output, before any work is done.

    Args:
        voices: recordings.
        output: a file for a single voice, else a folder; None is beside each voice. A folder is made if need be where
            it can be nothing else: with a slash at its end, or for several takes and without the suffix of a format.
        mix: likewise; None makes no mix.
        settings: of the first variation.
        variations: takes per voice, from consecutive seeds.

    Raises:
        UserError: voices cannot be used, all of which it names, or an output cannot be written or would replace a
            voice.
    """
    files = _opened(voices)
    bands, mixes = (None if given is None else _Place.of(given, len(files), variations) for given in (output, mix))
    takes = []
    for voice in files:
        for seed in range(settings.seed, settings.seed + variations):
            variation = f"-seed{seed}" if variations > 1 else ""
            beside = _Place(voice.path.parent, is_folder=True, to_be_made=False)
            band = (bands or beside).of_take(voice.path, "accompaniment", variation)
            mixed = None if mixes is None else mixes.of_take(voice.path, "mix", variation)
            takes.append(RenderRequest(voice, replace(settings, seed=seed), band, mixed))
    with _making([place.path for place in (bands, mixes) if place is not None and place.to_be_made]):
        _check_targets(takes)
    return takes


def render(samuel: Samuel, takes: list[RenderRequest], progress: OnProgress | None = None) -> Iterator[RenderResult]:
    """Make the takes in order; each voice is encoded once.

    Raises:
        UserError: an output cannot be written, or the model fails.
    """
    codec = samuel.manifest.codec
    for path in (path for take in takes for path in (take.accompaniment, take.mix) if path is not None):
        check_encodable(path, codec.sample_rate_hz, codec.channels)
    latents: np.ndarray | None = None
    encoded: AudioFile | None = None
    for take in takes:
        seconds: dict[str, float] = {}
        if latents is None or encoded is not take.voice:
            with _timed(seconds, "encode"):
                latents, encoded = samuel.encode(take.voice, progress), take.voice
        with _timed(seconds, "sample"):
            song = samuel.generate(latents, take.settings, progress)
        with explained(take.accompaniment), scratch_folder(take.accompaniment.resolve().parent) as scratch:
            band = Band(scratch / "band.f32", codec.sample_rate_hz, codec.channels)
            with _timed(seconds, "decode"):
                band.fill(samuel.decode(song, take.voice, progress))
            with _timed(seconds, "write"):
                gain = _write(take, band)
        guidance = samuel.manifest.model.guided(take.settings.guidance).scale
        yield RenderResult(take, guidance, band.level, tuple(_warnings(take, band, gain)), seconds)


def _write(take: RenderRequest, band: Band) -> float:
    """Write the take's files, both or none; returns the gain of the accompaniment."""
    with replacing(take.accompaniment) as accompaniment:
        gain = write_audio(accompaniment, band.blocks, band.level.peak, band.sample_rate_hz)
        if take.mix is not None:
            peak = peak_of(band.mixed_with(take.voice))
            with replacing(take.mix) as mix:
                write_audio(mix, lambda: band.mixed_with(take.voice), peak, band.sample_rate_hz)
    return gain


@dataclass(frozen=True)
class _Place:
    """Where takes of one kind go."""

    path: Path
    """A file, or a folder."""
    is_folder: bool
    """Which of the two; several voices need a folder, several takes of one voice may share a file's name."""
    to_be_made: bool
    """Whether the name is surely a folder's, so that it is made if it is not there."""

    @classmethod
    def of(cls, given: Path | str, voices: int, variations: int) -> _Place:
        """As an option names it: a slash at the end, which a Path does not keep, means a folder."""
        path = Path(given)
        slash = str(given).endswith(tuple(filter(None, (os.sep, os.altsep))))
        folder = slash or (voices * variations > 1 and path.suffix.lower() not in FORMATS)
        return cls(path, folder or voices > 1 or is_folder(path), folder)

    def of_take(self, voice: Path, kind: str, variation: str) -> Path:
        """The file of a take."""
        if self.is_folder:
            return self.path / f"{voice.stem}.{kind}{variation}.wav"
        return self.path.with_name(f"{self.path.stem}{variation}{self.path.suffix}")


def _opened(voices: list[Path]) -> list[AudioFile]:
    """All of the recordings, or all that is wrong with them."""
    files, faults = [], []
    for path in voices:
        try:
            files.append(AudioFile.open(path))
        except UserError as error:
            faults += error.lines
    if faults:
        raise UserError(*faults)
    return files


@contextmanager
def _making(folders: list[Path]) -> Iterator[None]:
    """Make folders, which are gone again if the block fails."""
    made: list[Path] = []
    try:
        for folder in folders:
            with explained(folder):
                for one in reversed((folder, *folder.parents)):
                    if not one.exists():
                        one.mkdir()
                        made.append(one)
                folder.mkdir(exist_ok=True)
        yield
    except BaseException:
        for one in reversed(made):
            with suppress(OSError):
                one.rmdir()
        raise


def _check_targets(takes: list[RenderRequest]) -> None:
    voices = {take.voice.path.resolve() for take in takes}
    named: set[Path] = set()
    for path in (path for take in takes for path in (take.accompaniment, take.mix) if path is not None):
        check_target(path)
        resolved = path.resolve()
        if resolved in voices:
            raise UserError(f"{path}: would replace the voice itself; name another output with -o or --mix")
        if resolved in named:
            raise UserError(f"{path}: two results would have this name; give -o and --mix different names or folders")
        named.add(resolved)


def _warnings(take: RenderRequest, band: Band, gain: float) -> Iterator[str]:
    voice, level = take.voice.level.laid_out(band.channels), band.level
    if level.peak > _LOUD_PEAK:
        yield (
            f"the model's output peaked at {level.peak:.1f} x full scale and was turned down by "
            f"{-20 * np.log10(gain):.0f} dB; try a lower --guidance or more --steps"
        )
    yield from map(with_options, concerns(voice, level, shlex.quote(str(take.voice.path))))


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[stage] = perf_counter() - start
