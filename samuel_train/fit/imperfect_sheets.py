"""Lead sheets with the faults that estimates have, so that a denoiser learns how far to trust one.

All of it is done to rasters (samuel_runtime/leadsheet/raster.py), of which a phase is turned by turning its sine and
cosine. Choices come from the step's generator, so that a step is the same whatever processes share it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.leadsheet.raster import BAR, BEAT, KNOWN_BARS, KNOWN_BEATS, KNOWN_CHORDS, METER, ROOT, TONES
from samuel_runtime.leadsheet.sheet import Meter

_BEATS_UNKNOWN, _CHORDS_UNKNOWN = 0.05, 0.1
_DOUBLE_TEMPO, _WRONG_BAR, _WRONG_CHORDS = 0.03, 0.1, 0.3
_OFFSET, _DRIFT = 0.03, 0.03  # beats: standard deviations of a constant and of a slowly swinging error
_DRIFT_PERIODS = (0.3, 2.0)  # within a crop
_WRONG_SHARE = 0.3  # of a crop whose chords are wrong in some place, at most
_WRONG_STEPS = (5, 7, 3, 9, 4, 8)  # semitones by which a wrong chord is off: fourth, fifth, thirds and sixths


@dataclass(frozen=True, eq=False)
class Faults:
    """What is wrong with each example's sheet, arrays (batch,)."""

    dropped: np.ndarray
    beats_unknown: np.ndarray
    chords_unknown: np.ndarray
    double_tempo: np.ndarray
    bar_beats: np.ndarray
    """Beats by which the bars are late."""
    offset: np.ndarray
    """Beats by which all is late."""
    drift: np.ndarray
    """Beats, amplitude of a slow swing."""
    periods: np.ndarray
    """Of that swing within the crop."""
    wrong_from: np.ndarray
    """Where wrong chords begin, as a share of the crop."""
    wrong_share: np.ndarray
    """For how long, as a share of the crop; 0 for none."""
    wrong_steps: np.ndarray
    """By how many semitones."""

    @classmethod
    def drawn(cls, draw: np.random.Generator, batch: int, dropout: float, faulty: float) -> Faults:
        """Of a batch: every sheet is dropped with probability ``dropout``, else faulty with ``faulty``."""
        faults = draw.random(batch) < faulty

        def chance(probability: float) -> np.ndarray:
            return faults & (draw.random(batch) < probability)

        return cls(
            dropped=draw.random(batch) < dropout,
            beats_unknown=chance(_BEATS_UNKNOWN),
            chords_unknown=chance(_CHORDS_UNKNOWN),
            double_tempo=chance(_DOUBLE_TEMPO),
            bar_beats=chance(_WRONG_BAR) * draw.integers(1, 4, batch),
            offset=faults * draw.normal(0, _OFFSET, batch),
            drift=faults * draw.normal(0, _DRIFT, batch),
            periods=draw.uniform(*_DRIFT_PERIODS, batch),
            wrong_from=draw.random(batch),
            wrong_share=chance(_WRONG_CHORDS) * draw.uniform(0, _WRONG_SHARE, batch),
            wrong_steps=draw.choice(_WRONG_STEPS, batch),
        )

    def share(self, of: slice) -> Faults:
        """Of some of the batch's examples."""
        return Faults(**{entry.name: getattr(self, entry.name)[of] for entry in fields(self)})


def with_faults(sheets: Tensor, faults: Faults) -> Tensor:
    """The sheets (batch, 34, frames) as an estimate might have them."""
    sheets = sheets.clone()
    frames = sheets.shape[-1]
    along = torch.linspace(0, 1, frames, device=sheets.device)

    def column(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(sheets.device)[:, None]

    late = column(faults.offset) + column(faults.drift) * torch.sin(2 * torch.pi * column(faults.periods) * along)
    beats = sheets.new_tensor([meter.beats for meter in Meter])
    per_bar = (sheets[:, METER] * beats[:, None]).sum(dim=1).clamp(min=1)  # (batch, frames)
    sheets[:, BEAT] = _turned(sheets[:, BEAT], late)
    sheets[:, BAR] = _turned(sheets[:, BAR], (late + column(faults.bar_beats)) / per_bar)
    double = column(faults.double_tempo)[..., None] > 0
    for phase in (BEAT, BAR):
        sheets[:, phase] = torch.where(double, _doubled(sheets[:, phase]), sheets[:, phase])
    begin = column(faults.wrong_from)
    wrong = (along >= begin) & (along < begin + column(faults.wrong_share))
    for example, steps in enumerate(faults.wrong_steps.tolist()):
        for channels in (TONES, ROOT):
            moved = sheets[example, channels].roll(int(steps), dims=0)
            sheets[example, channels] = torch.where(wrong[example], moved, sheets[example, channels])
    known_beats = 1 - column(faults.beats_unknown)[..., None]
    known_chords = 1 - column(faults.chords_unknown)[..., None]
    for channels in (BEAT, BAR, METER, slice(KNOWN_BEATS, KNOWN_BARS + 1)):
        sheets[:, channels] *= known_beats
    for channels in (TONES, ROOT, slice(KNOWN_CHORDS, KNOWN_CHORDS + 1)):
        sheets[:, channels] *= known_chords
    return sheets * (1 - column(faults.dropped))[..., None]


def _turned(phase: Tensor, late: Tensor) -> Tensor:
    """Sine and cosine (batch, 2, frames) of a phase that is late by so much of a turn, (batch, frames)."""
    sine, cosine = phase.unbind(1)
    angle = 2 * torch.pi * late
    return torch.stack([sine * angle.cos() - cosine * angle.sin(), cosine * angle.cos() + sine * angle.sin()], dim=1)


def _doubled(phase: Tensor) -> Tensor:
    """Sine and cosine (batch, 2, frames) of twice the angle; where both are zero they stay so."""
    sine, cosine = phase.unbind(1)
    return torch.stack([2 * sine * cosine, cosine.square() - sine.square()], dim=1)
