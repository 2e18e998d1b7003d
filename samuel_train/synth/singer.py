"""Who sings, and how: the compass, the speaker behind the voice, the habits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from samuel_train.synth.speakers import SPEAKERS, Speaker


class Take(str, Enum):
    """What the voice does with a melody."""

    WORDS = "words"
    VOCABLES = "la-la"
    HUM = "hum"
    WHISTLE = "whistle"


_TAKES = {Take.WORDS: 0.72, Take.VOCABLES: 0.13, Take.HUM: 0.08, Take.WHISTLE: 0.07}


@dataclass(frozen=True)
class Singer:
    """One voice."""

    take: Take
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
    drift_cents: float
    """How far it strays, slowly."""
    late_s: float
    """How far behind the beat it sings on the whole."""
    melisma: float
    """Probability that a note inside a phrase carries its syllable on."""


def draw_singer(rng: np.random.Generator) -> Singer:
    """A female or male voice with a character of its own."""
    take = list(_TAKES)[rng.choice(len(_TAKES), p=list(_TAKES.values()))]
    speaker = SPEAKERS[rng.integers(len(SPEAKERS))]
    lowest = int(rng.integers(55, 60) if speaker.female else rng.integers(44, 50))
    return Singer(
        take=take,
        speaker=speaker,
        lowest=lowest,
        highest=lowest + 17,
        stretch=float(rng.uniform(0.93, 1.08)),
        brightness_db=float(rng.normal(0, 3)),
        breath=float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))),
        vibrato_hz=float(rng.uniform(4.8, 6.3)),
        vibrato_cents=float(rng.uniform(5, 40)),
        portamento_s=float(rng.uniform(0.05, 0.11)),
        scoop_cents=float(rng.uniform(20, 150)),
        drift_cents=float(rng.uniform(3, 9)),
        late_s=float(rng.normal(0.004, 0.008)),
        melisma=0.6 if take is Take.HUM else float(rng.uniform(0.05, 0.25)),
    )
