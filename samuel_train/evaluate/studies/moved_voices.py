"""The transposition test, carried out: voices are moved, passed through the codec, and given to the bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np

from samuel_runtime.audio.reading import AudioFile, resampled
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.pipeline import Samuel
from samuel_train.data.stems import VOCALS
from samuel_train.evaluate import spectra
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.excerpt import loudest_start
from samuel_train.evaluate.metrics.harmony import pooled, spans
from samuel_train.evaluate.rendering import as_band, encode_voice, render, render_generated, sheet_for
from samuel_train.evaluate.studies.transposition import Followed, Shift, Transposition

_LEAST_S = 2.0


@dataclass(frozen=True)
class Plan:
    """What is asked of every voice."""

    voices: tuple[AudioFile, ...]
    """Recordings of singing."""
    semitones: tuple[int, ...]
    """How far each is moved."""
    seeds: int
    """Bands per shift; their chroma is averaged, so that what the noise alone draws, the same for every shift, weighs
    less. On 14 s of two procedural voices the packaged bundle got 2.0 of 6 right with one seed, 3.3 with four, 3.5 with
    eight: compare numbers of as many seeds only."""

    @classmethod
    def of(cls, voices: Sequence[Path], semitones: Sequence[int], seeds: int) -> Plan:
        """Open the voices and see that the shifts can be told apart.

        Raises:
            UserError: a voice cannot be read, is silent, or lasts less than two seconds; shifts are equal or 0.
        """
        if len({shift % 12 for shift in semitones} - {0}) < max(len(semitones), 2):
            raise UserError("--semitones: give two shifts or more; none may be 0, nor two of them the same pitch class")
        files = tuple(AudioFile.open(path) for path in voices)
        for file in files:
            if file.level.silent:
                raise UserError(
                    f"{file.path}: is silent, so nothing can follow it; give another voice with --transpose"
                )
            if file.samples_count < _LEAST_S * file.sample_rate_hz:
                raise UserError(f"{file.path}: lasts less than {_LEAST_S:g} s; give a longer voice with --transpose")
        return cls(files, tuple(semitones), seeds)

    def recordings(self, cases: int) -> int:
        """How many recordings will be listened to, for a progress bar."""
        return len(self.voices) * (1 + len(self.semitones)) * (2 + self.seeds * cases)


def move(voice: np.ndarray, sample_rate_hz: int, semitones: int) -> np.ndarray:
    """A voice (samples, channels) higher by some semitones, at the same speed and level.

    By librosa's phase vocoder and soxr. Resampling alone would be cleaner but changes the tempo too, by a third for
    five semitones, after which no span of the bands could be compared. The formants move along: a moved voice is a
    smaller or larger singer, which a band should not mind. Smeared phases cost 3 dB, which are given back.
    """
    if semitones == 0:
        return voice
    moved = librosa.effects.pitch_shift(voice.T, sr=sample_rate_hz, n_steps=semitones, res_type="soxr_hq")
    power, left = np.mean(np.square(voice)), np.mean(np.square(moved))
    return np.ascontiguousarray(moved.T * np.sqrt(power / left), dtype=np.float32)


def transpositions(
    samuel: Samuel, plan: Plan, cases: Sequence[Case], advance: Callable[[], None]
) -> Iterator[Transposition]:
    """Every voice under every case.

    Args:
        samuel: the loaded bundle.
        plan: voices and shifts.
        cases: of the grid.
        advance: called after every recording that was analysed.

    Raises:
        UserError: the model fails.
    """
    for voice in plan.voices:
        yield from _asked(samuel, voice, plan, cases, advance)


def _asked(
    samuel: Samuel, file: AudioFile, plan: Plan, cases: Sequence[Case], advance: Callable[[], None]
) -> Iterator[Transposition]:
    voice = _read(samuel, file)
    rate, samples = samuel.manifest.codec.sample_rate_hz, len(voice)

    def chroma_of(recording: np.ndarray) -> np.ndarray:
        chroma = spectra.chroma(spectra.analysed(recording, rate))
        advance()
        return pooled(chroma, spans(samples / rate, None))  # (12, seconds)

    def band(latents: np.ndarray, case: Case, sheet: LeadSheet) -> np.ndarray:
        takes = (samuel.generate(latents, case.settings(seed), sheet=sheet) for seed in range(plan.seeds))
        return np.mean([_levelled(chroma_of(render_generated(samuel, take, samples))) for take in takes], axis=0)

    shifts = (0, *plan.semitones)
    moved = [move(voice, rate, shift) for shift in shifts]
    latents = [encode_voice(samuel, one) for one in moved]
    controls = (
        _followed("voice", shifts, [chroma_of(one) for one in moved]),
        _followed(
            "voice through the codec",
            shifts,
            [chroma_of(render(samuel, as_band(samuel, one), samples)) for one in latents],
        ),
    )
    for case in cases:
        sheets = [sheet_for(samuel, case.sheet, one, None, _name(file.path)) for one in moved]
        bands = [band(one, case, sheet) for one, sheet in zip(latents, sheets, strict=True)]
        yield Transposition(_name(file.path), case, plan.seeds, _followed("band", shifts, bands), controls)


def _followed(name: str, shifts: Sequence[int], chromas: Sequence[np.ndarray]) -> Followed:
    moved = zip(shifts[1:], chromas[1:], strict=True)
    return Followed(name, tuple(Shift.of(semitones, chromas[0], chroma) for semitones, chroma in moved))


def _levelled(chroma: np.ndarray) -> np.ndarray:
    """Chroma whose sum is one, so that every seed's band counts alike; silence stays zero."""
    total = chroma.sum()
    return chroma / total if total > 0 else chroma


def _name(path: Path) -> str:
    """The file's name, and the song's where it is a stem, which all have the same."""
    return f"{path.parent.name}/{path.name}" if path.stem.lower() == VOCALS else path.name


def _read(samuel: Samuel, file: AudioFile) -> np.ndarray:
    """A voice at the codec's rate, (samples, channels): of a long one the window of the model that is loudest."""
    codec = samuel.manifest.codec
    voice = np.concatenate(list(resampled(file, codec.sample_rate_hz, codec.channels)))
    longest = samuel.manifest.model.frames * codec.hop_samples
    start = loudest_start(voice, longest)
    return voice[start : start + longest]
