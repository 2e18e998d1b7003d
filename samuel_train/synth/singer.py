"""Who sings, and with which sounds: voice types, vowels and consonants as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Formant frequencies of sung vowels, adult male, Hz (after Peterson & Barney 1952, with the higher formants drawn
# together as trained singers do: Sundberg, The Science of the Singing Voice, 1987).
VOWELS_HZ = {
    "a": (700, 1180, 2600, 3250, 3900),
    "e": (450, 1850, 2550, 3300, 4000),
    "i": (300, 2150, 2900, 3400, 4100),
    "o": (450, 800, 2600, 3200, 3900),
    "u": (330, 760, 2450, 3150, 3800),
    "ae": (640, 1600, 2500, 3300, 4000),
}
FORMANT_BANDWIDTHS_HZ = (80, 100, 130, 160, 220)


@dataclass(frozen=True)
class Consonant:
    """What happens in the moment before a vowel."""

    length_s: float
    """Time before the note's onset; the vowel falls on the beat."""
    voicing: float
    """How much of the voice sounds through the closure, 0 .. 1."""
    noise_db: float
    """Level of its noise against the voice, or -inf."""
    noise_s: float
    """How long the noise lasts; it ends a little after the onset."""
    noise_hz: float
    """Centre of the noise's band."""
    noise_octaves: float
    formants_hz: tuple[float, ...] | None
    """Where the formants start from, or None if they stay with the vowel."""


_SILENT = float("-inf")
_LABIAL = (250.0, 800.0, 2200.0, 3200.0, 3900.0)
_ALVEOLAR = (280.0, 1700.0, 2600.0, 3300.0, 4000.0)
_VELAR = (280.0, 2000.0, 2300.0, 3200.0, 4000.0)
_NASAL = (250.0, 1150.0, 2300.0, 3200.0, 3900.0)

CONSONANTS = {
    "s": Consonant(0.115, 0.0, -9, 0.105, 7500, 0.35, _ALVEOLAR),
    "sh": Consonant(0.115, 0.0, -7, 0.105, 3600, 0.45, _VELAR),
    "f": Consonant(0.095, 0.0, -18, 0.085, 6500, 0.9, _LABIAL),
    "h": Consonant(0.080, 0.0, -19, 0.085, 1700, 0.9, None),
    "t": Consonant(0.070, 0.0, -7, 0.028, 5200, 0.6, _ALVEOLAR),
    "k": Consonant(0.070, 0.0, -8, 0.032, 2300, 0.5, _VELAR),
    "p": Consonant(0.070, 0.0, -13, 0.022, 1100, 0.9, _LABIAL),
    "d": Consonant(0.050, 0.12, -14, 0.014, 4000, 0.7, _ALVEOLAR),
    "b": Consonant(0.050, 0.12, -20, 0.012, 900, 0.9, _LABIAL),
    "z": Consonant(0.085, 0.30, -15, 0.080, 6500, 0.4, _ALVEOLAR),
    "m": Consonant(0.085, 0.40, _SILENT, 0, 1000, 1.0, _NASAL),
    "n": Consonant(0.080, 0.40, _SILENT, 0, 1000, 1.0, _ALVEOLAR),
    "l": Consonant(0.070, 0.55, _SILENT, 0, 1000, 1.0, (350.0, 1100.0, 2700.0, 3300.0, 4000.0)),
    "r": Consonant(0.070, 0.55, _SILENT, 0, 1000, 1.0, (400.0, 1200.0, 1700.0, 3000.0, 3900.0)),
    "w": Consonant(0.075, 0.50, _SILENT, 0, 1000, 1.0, (300.0, 620.0, 2300.0, 3200.0, 3900.0)),
    "y": Consonant(0.075, 0.55, _SILENT, 0, 1000, 1.0, (280.0, 2250.0, 3000.0, 3500.0, 4100.0)),
}


@dataclass(frozen=True)
class Singer:
    """One voice."""

    lowest: int
    """Lowest MIDI note of its compass."""
    highest: int
    formant_scale: float
    """Vocal tract against the adult male's; shorter tracts are above 1."""
    brightness_hz: float
    """Corner of the glottal source's extra roll-off at full loudness."""
    breathiness: float
    """Aspiration noise against the voiced source."""
    vibrato_hz: float
    vibrato_cents: float
    portamento_s: float
    """Time of a glide between notes."""
    scoop_cents: float
    """How far below the note a phrase begins."""
    articulation: float
    """Probability that a note has a consonant of its own."""


def draw_singer(rng: np.random.Generator) -> Singer:
    """A female or male voice with a character of its own."""
    female = rng.random() < 0.5
    lowest = int(rng.integers(56, 60) if female else rng.integers(45, 50))
    return Singer(
        lowest=lowest,
        highest=lowest + 17,
        formant_scale=float(rng.uniform(1.10, 1.22) if female else rng.uniform(0.95, 1.06)),
        brightness_hz=float(np.exp(rng.uniform(np.log(4000), np.log(12000)))),
        breathiness=float(10 ** rng.uniform(-1.5, -0.75)),
        vibrato_hz=float(rng.uniform(4.8, 6.2)),
        vibrato_cents=float(rng.uniform(8, 38)),
        portamento_s=float(rng.uniform(0.05, 0.11)),
        scoop_cents=float(rng.uniform(30, 140)),
        articulation=float(rng.uniform(0.78, 0.97)),
    )
