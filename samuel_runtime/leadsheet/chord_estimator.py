"""The chords' estimator: a melody on its beats to what it says of chords and key, by a bundle's graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S, HARMONY_SIZES, Activations
from samuel_runtime.leadsheet.beat_melody import beat_melody
from samuel_runtime.leadsheet.decoder.grid import BeatGrid
from samuel_runtime.leadsheet.estimator import check_outputs
from samuel_runtime.melody import MelodyTracks


@dataclass(frozen=True)
class ChordEstimator:
    """A bundle's chord estimator, ready to run."""

    engine: Callable[..., dict[str, np.ndarray]]
    """Takes ``pitches`` and ``moments`` of leadsheet/beat_melody.py, with a batch axis before them; gives each of
    ``HARMONY_SIZES`` (batch, slots, ...)."""

    def estimate(self, tracks: MelodyTracks, grid: BeatGrid, activations: Activations) -> Activations:
        """The activations, with what the melody says of tones, roots and key now that its beats are known.

        Args:
            tracks: of the whole song.
            grid: two beats at least.
            activations: by frame, as many as shall be told of.

        Raises:
            UserError: the graph fails, or gives something else than its manifest says.
        """
        melody = beat_melody(tracks, grid)
        outputs = self.engine(pitches=melody.pitches[None], moments=melody.moments[None])
        slots = melody.moments.shape[1]
        check_outputs(outputs, HARMONY_SIZES, slots, "chord estimator")
        centres_s = (np.arange(len(activations.beat)) + 0.5) * FRAME_S
        here = np.clip(np.searchsorted(melody.edges_s, centres_s, side="right") - 1, 0, slots - 1)
        return replace(activations, **{name: outputs[name][0, here] for name in HARMONY_SIZES})
