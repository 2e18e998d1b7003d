"""From files to files: plan which takes to make, make each one, report what came of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from samuel_runtime.audio.concerns import concerns
from samuel_runtime.audio.level import Level
from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.audio.writing import FORMATS, Band, check_encodable, check_target, peak_of, write_audio
from samuel_runtime.errors import UserError, with_options
from samuel_runtime.files import explained, is_folder, replacing, scratch_folder
from samuel_runtime.leadsheet.files import JSON_SUFFIXES, MIDI_SUFFIXES, encoded
from samuel_runtime.leadsheet.files.json_format import to_dict
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import OnProgress
from samuel_runtime.settings import Settings

_LOUD_PEAK = 4.0  # 12 dB above full scale: no mix of the training data comes near


@dataclass(frozen=True)
class RenderRequest:
    """One accompaniment to make."""

    voice: AudioFile
    """The voice it is for."""
    settings: Settings
    """Its sampler, steps, guidance and seed, and what is known of the song."""
    accompaniment: Path
    """Where it goes."""
    mix: Path | None
    """Where voice and band together go, if wanted."""
    lead_sheet: Path | None = None
    """Where the song's lead sheet goes as JSON, if wanted; a voice's first take writes it."""
    midi: Path | None = None
    """The same as MIDI."""

    @property
    def passes(self) -> int:
        """How often audio of the voice's length is read or written."""
        return 2 if self.mix is None else 4


@dataclass(frozen=True)
class RenderResult:
    """One accompaniment, made."""

    take: RenderRequest
    """What was asked for."""
    sheet: LeadSheet
    """What it was played from."""
    steps: int
    """Denoising steps of every window."""
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
            "lead_sheet": None if self.sheet.is_empty else to_dict(self.sheet),
            "lead_sheet_out": str(self.take.lead_sheet) if self.take.lead_sheet else None,
            "midi": str(self.take.midi) if self.take.midi else None,
            "duration_s": self.take.voice.samples_count / self.take.voice.sample_rate_hz,
            "seed": settings.seed,
            "sampler": settings.sampler.value,
            "steps": self.steps,
            "guidance": self.guidance,
            "peak": self.level.peak,
            "rms_db": None if self.level.silent else self.level.rms_db,
            "warnings": list(self.warnings),
            "seconds": {stage: round(value, 4) for stage, value in self.seconds.items()},
        }


def plan_requests(
    voices: list[Path],
    output: Path | str | None,
    mix: Path | str | None,
    settings: Settings,
    variations: int,
    lead_sheet: Path | str | None = None,
    midi: Path | str | None = None,
) -> list[RenderRequest]:
    """Open every voice and name every output, before any work is done.

    Args:
        voices: recordings.
        output: a file for a single voice, else a folder; None is beside each voice. A folder is made if need be where
            it can be nothing else: with a slash at its end, or for several takes and without the suffix of a format.
        mix: likewise; None makes no mix.
        settings: of the first variation.
        variations: takes per voice, from consecutive seeds.
        lead_sheet: as output, for one lead sheet of each voice as JSON; None writes none.
        midi: the same as MIDI.

    Raises:
        UserError: voices cannot be used, all of which it names, or an output cannot be written or would replace a
            voice.
    """
    files = _opened(voices)
    count = len(files) * variations
    bands, mixes = (_Place.of(given, len(files), count, FORMATS) for given in (output, mix))
    sheets = _Place.of(lead_sheet, len(files), len(files), JSON_SUFFIXES)
    midis = _Place.of(midi, len(files), len(files), MIDI_SUFFIXES)
    takes = []
    for voice in files:
        for seed in range(settings.seed, settings.seed + variations):
            variation = f"-seed{seed}" if variations > 1 else ""
            beside = _Place(voice.path.parent, is_folder=True, to_be_made=False)
            band = (bands or beside).of_take(voice.path, f"accompaniment{variation}.wav", variation)
            mixed = None if mixes is None else mixes.of_take(voice.path, f"mix{variation}.wav", variation)
            take = RenderRequest(voice, replace(settings, seed=seed), band, mixed)
            if seed == settings.seed:  # all takes of a voice are played from one sheet
                sheet = None if sheets is None else sheets.of_take(voice.path, "lead-sheet.json")
                notes = None if midis is None else midis.of_take(voice.path, "lead-sheet.mid")
                take = replace(take, lead_sheet=sheet, midi=notes)
            takes.append(take)
    places = [place for place in (bands, mixes, sheets, midis) if place is not None]
    with _making([place.path for place in places if place.to_be_made]):
        _check_targets(takes)
    return takes


def render(
    samuel: Samuel,
    takes: list[RenderRequest],
    progress: OnProgress | None = None,
    heard: Callable[[LeadSheet], object] | None = None,
) -> Iterator[RenderResult]:
    """Make the takes in order; each voice is listened to and encoded once.

    Args:
        samuel: what makes them.
        takes: of :func:`plan_requests`.
        progress: as for :meth:`Samuel.accompany`.
        heard: called with a voice's lead sheet as soon as it was listened to.

    Raises:
        UserError: the settings do not fit the bundle, an output cannot be written, or the model fails.
    """
    codec = samuel.manifest.codec
    for path in (path for take in takes for path in (take.accompaniment, take.mix) if path is not None):
        check_encodable(path, codec.sample_rate_hz, codec.channels)
    for take in takes:
        samuel.check(take.settings)
        if (take.lead_sheet or take.midi) and not samuel.manifest.model.sheet_channels:
            raise UserError(
                f"{take.lead_sheet or take.midi}: this bundle's model takes no lead sheet, so there is none to write; "
                "leave it out, or use another `bundle`"
            )
    latents, sheet = np.empty(0), None
    voice: AudioFile | None = None
    sheets: dict[Path, bytes] = {}
    for take in takes:
        seconds: dict[str, float] = {}
        if sheet is None or voice is not take.voice:
            with _timed(seconds, "encode"):
                sheet = samuel.listen(take.voice, take.settings)
                if heard is not None:
                    heard(sheet)
                sheets = _sheets(take, sheet)
                latents, voice = samuel.encode(take.voice, progress), take.voice
        with _timed(seconds, "sample"):
            song = samuel.generate(latents, take.settings, progress, sheet)
        with explained(take.accompaniment), scratch_folder(take.accompaniment.resolve().parent) as scratch:
            band = Band(scratch / "band.f32", codec.sample_rate_hz, codec.channels)
            with _timed(seconds, "decode"):
                band.fill(samuel.decode(song, take.voice, progress))
            with _timed(seconds, "write"):
                gain = _write(take, band, sheets)
            sheets = {}
        model, settings = samuel.manifest.model, take.settings
        steps, guidance = model.denoising_steps(settings.steps), model.guided(settings.guidance).scale
        yield RenderResult(take, sheet, steps, guidance, band.level, tuple(_warnings(take, band, gain)), seconds)


def _sheets(take: RenderRequest, sheet: LeadSheet) -> dict[Path, bytes]:
    """The files of a voice's lead sheet, made before any work is done for them."""
    wanted = [path for path in (take.lead_sheet, take.midi) if path is not None]
    if wanted and sheet.is_empty:
        raise UserError(f"{wanted[0]}: nothing is known of the song; give `bpm`, `chords` or `lead_sheet`")
    return {path: encoded(sheet, path) for path in wanted}


def _write(take: RenderRequest, band: Band, sheets: dict[Path, bytes]) -> float:
    """Write the take's files, all or none; returns the gain of the accompaniment."""
    with replacing(take.accompaniment) as accompaniment, ExitStack() as stack:
        for path, content in sheets.items():
            stack.enter_context(replacing(path)).write_bytes(content)
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
    def of(cls, given: Path | str | None, voices: int, count: int, suffixes: Collection[str]) -> _Place | None:
        """As an option names it: a slash at the end, which a Path does not keep, means a folder.

        Args:
            given: the option; None is no place.
            voices: number of recordings.
            count: number of files that go there.
            suffixes: that files of this kind have.
        """
        if given is None:
            return None
        path = Path(given)
        slash = str(given).endswith(tuple(filter(None, (os.sep, os.altsep))))
        folder = slash or (count > 1 and path.suffix.lower() not in suffixes)
        return cls(path, folder or voices > 1 or is_folder(path), folder)

    def of_take(self, voice: Path, ending: str, variation: str = "") -> Path:
        """The file of a take: in a folder the voice's name with this ending, else one that names the variation."""
        if self.is_folder:
            return self.path / f"{voice.stem}.{ending}"
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
    targets = (
        (path, suffixes)
        for take in takes
        for path, suffixes in (
            (take.accompaniment, FORMATS),
            (take.mix, FORMATS),
            (take.lead_sheet, JSON_SUFFIXES),
            (take.midi, MIDI_SUFFIXES),
        )
    )
    for path, suffixes in targets:
        if path is None:
            continue
        check_target(path, suffixes)
        resolved = path.resolve()
        if resolved in voices:
            raise UserError(f"{path}: would replace the voice itself; name another output with -o or --mix")
        if resolved in named:
            raise UserError(f"{path}: two results would have this name; give outputs different names or folders")
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
