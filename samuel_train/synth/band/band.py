"""The band as sound: its score as a MIDI file, played by FluidSynth, then mastered."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from samuel_train.synth.band.mastering import master
from samuel_train.synth.band.midi import PREROLL_S, write_midi
from samuel_train.synth.band.soundfont import play_midi
from samuel_train.synth.compose.score import Track
from samuel_train.synth.dsp import SAMPLE_RATE_HZ


def play_band(rng: np.random.Generator, tracks: Sequence[Track], samples: int) -> np.ndarray:
    """The accompaniment of an excerpt, (samples, 2) float32.

    Raises:
        UserError: FluidSynth fails.
    """
    with tempfile.TemporaryDirectory(prefix="samuel-band-") as folder:
        path = Path(folder) / "band.mid"
        write_midi(path, tracks, samples / SAMPLE_RATE_HZ)
        played = play_midi(path, Path(folder) / "band.raw")
    start = round(PREROLL_S * SAMPLE_RATE_HZ)
    mix = np.zeros((samples, 2), dtype=np.float32)
    excerpt = played[start : start + samples]
    mix[: len(excerpt)] = excerpt
    return master(rng, mix)
