"""Who sings, and how: the compass, the speaker behind the voice, the habits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from samuel_train.synth.voice.speakers import SPEAKERS, Speaker


class Performance(str, Enum):
    """What the voice does with a melody."""

    WORDS = "words"
    VOCABLES = "la-la"
    HUM = "hum"
    WHISTLE = "whistle"


_SHARES = {Performance.WORDS: 0.72, Performance.VOCABLES: 0.13, Performance.HUM: 0.08, Performance.WHISTLE: 0.07}


@dataclass(frozen=True)
class Singer:
    """One voice."""

    performance: Performance
    speaker: Speaker
    lowest: int
    """Lowest MIDI note of its compass."""
    highest: int
    stretch: float
    """How far the speaker's formants are moved; above 1 is a shorter throat."""
    brightness_db: float
    """Level at 5 kHz against the average voice."""
    breath: float
    """Share of noise in its tone at 4 kHz."""
    vibrato_hz: float
    vibrato_cents: float
    portamento_s: float
    """Time of a glide between notes."""
    scoop_cents: float
    """How far below the note a phrase begins."""
    scooping: float
    """Probability that a note inside a phrase is scooped too."""
    intonation_cents: float
    """How far its notes are off, each by itself."""
    tuning_cents: float
    """How far all of them are off together."""
    drift_cents: float
    """How far it strays, slowly."""
    late_s: float
    """How far behind the beat it sings on the whole."""
    timing_s: float
    """How far a note's beginning strays from there."""
    melisma: float
    """Probability that a note inside a phrase carries its syllable on."""


FREEST = 1.0
"""Anybody may sing; at 0 everybody sings as in a studio."""


def draw_singer(rng: np.random.Generator, freest: float = FREEST) -> Singer:
    """A female or male voice with a character of its own.

    How freely it sings decides, together, how far it glides, scoops, drifts, and is off in pitch and time: from a
    studio take (0) to somebody at the kitchen sink (1), whose pitch hardly ever rests on a note of the scale. It is
    drawn up to ``freest``.
    """
    performance = list(_SHARES)[rng.choice(len(_SHARES), p=list(_SHARES.values()))]
    speaker = SPEAKERS[rng.integers(len(SPEAKERS))]
    lowest = int(rng.integers(52, 60) if speaker.female else rng.integers(35, 50))
    freedom = freest * float(rng.uniform())

    def between(strict: float, free: float) -> float:
        return float(strict * (free / strict) ** np.clip(freedom + rng.normal(0, 0.15), 0, 1))

    return Singer(
        performance=performance,
        speaker=speaker,
        lowest=lowest,
        highest=lowest + 17,
        stretch=float(np.exp(rng.normal(0, 0.07))),
        brightness_db=float(rng.normal(0, 4)),
        breath=float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))),
        vibrato_hz=float(rng.uniform(4.8, 6.3)),
        vibrato_cents=float(rng.uniform(5, 50)),
        portamento_s=between(0.05, 0.18),
        scoop_cents=between(20, 300),
        scooping=between(0.02, 0.5),
        intonation_cents=between(3, 35),
        tuning_cents=float(rng.normal(0, 1)) * between(3, 20),
        drift_cents=between(3, 30),
        late_s=float(rng.normal(0.004, 0.008)),
        timing_s=between(0.008, 0.024),
        melisma=0.6 if performance is Performance.HUM else float(rng.uniform(0.05, 0.25)),
    )
