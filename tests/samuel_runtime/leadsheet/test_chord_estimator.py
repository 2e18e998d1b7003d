"""The chords' estimator in the runtime: what is said of a slot is said of its frames."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import FRAME_S, HARMONY_SIZES, Activations
from samuel_runtime.leadsheet.chord_estimator import ChordEstimator
from samuel_runtime.leadsheet.decoder.grid import BeatGrid
from samuel_runtime.leadsheet.sheet import Meter
from samuel_runtime.melody import MelodyTracks

FRAMES = 700
GRID = BeatGrid(Meter.COMMON, 0.3 + 0.6 * np.arange(12), np.arange(12) % 4 == 0, 1.0, 1.0)
ONES = np.ones(FRAMES)
TRACKS = MelodyTracks(220 * ONES, ONES, -20 * ONES, ONES)
BEFORE = Activations(ONES, ONES, np.zeros((FRAMES, 12)), np.zeros((FRAMES, 12)), np.zeros((FRAMES, 24)))


def counting(fault: float = 0.0):  # type: ignore[no-untyped-def]
    """Says of every slot its number."""

    def engine(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        slots = inputs["moments"].shape[2]
        assert inputs["pitches"].shape == (1, 3, 12, slots)
        numbers = np.arange(slots, dtype=np.float64)[None] + fault
        return {name: np.broadcast_to(numbers[..., None], (1, slots, *sizes)) for name, sizes in HARMONY_SIZES.items()}

    return engine


def test_frames_say_what_their_slot_does() -> None:
    found = ChordEstimator(counting()).estimate(TRACKS, GRID, BEFORE)
    centres_s = (np.arange(FRAMES) + 0.5) * FRAME_S
    expected = np.floor((centres_s + 0.3) / 0.3)  # the first slot begins a beat before the first one
    for name in HARMONY_SIZES:
        values = getattr(found, name)
        assert values.shape == getattr(BEFORE, name).shape
        np.testing.assert_array_equal(values[:, 0], expected)
    assert found.beat is BEFORE.beat and found.downbeat is BEFORE.downbeat


def test_a_graph_that_gives_no_numbers_is_refused() -> None:
    with pytest.raises(UserError, match="chord estimator gives tones"):
        ChordEstimator(counting(float("nan"))).estimate(TRACKS, GRID, BEFORE)
