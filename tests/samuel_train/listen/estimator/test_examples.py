"""Examples of the estimator by frame: crops that follow from the step, and keys that come round."""

from __future__ import annotations

import numpy as np
import torch

from samuel_train.listen.estimator.examples import CROPS, drawn_batch, example_of, transposed
from samuel_train.listen.songs.drawn_songs import DrawnSongs


def test_an_example_comes_back_after_twelve_semitones() -> None:
    example = example_of(*DrawnSongs(0)[0])
    round_trip = example
    for _ in range(4):
        round_trip = transposed(round_trip, 3)
    assert np.array_equal(round_trip.features, example.features)
    assert np.array_equal(round_trip.targets.root, example.targets.root)
    assert round_trip.targets.key == example.targets.key != transposed(example, 1).targets.key


def test_crops_are_a_function_of_songs_and_generator() -> None:
    kept = [example_of(*DrawnSongs(3)[number]) for number in range(2)]
    first, second, other = (drawn_batch(kept, np.random.default_rng(seed), max(CROPS)) for seed in (0, 0, 1))
    assert torch.equal(first.features, second.features) and torch.equal(first.root, second.root)
    assert first.features.shape != other.features.shape or not torch.equal(first.features, other.features)
    assert first.features.shape[0] * first.features.shape[2] == max(CROPS)
