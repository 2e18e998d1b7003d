"""The table of estimators: every line is of decoded sheets."""

from __future__ import annotations

import pytest
import torch

from samuel_train.listen.chord_estimator.network import ChordNetwork
from samuel_train.listen.config import ChordConfig, EstimatorConfig
from samuel_train.listen.estimator.network import EstimatorNetwork
from samuel_train.listen.measure import Ears, rows
from samuel_train.listen.songs.drawn_songs import HELD_OUT_SEED, DrawnSongs


@pytest.mark.parametrize("of_chords", [False, True])
def test_what_is_given_is_right(of_chords: bool) -> None:
    torch.manual_seed(0)
    network = EstimatorNetwork(EstimatorConfig(width=8, octaves=2, stacks=1)).eval()
    ears = Ears.of(network, ChordNetwork(ChordConfig(width=4, octaves=2, stacks=1)).eval() if of_chords else None)
    heard, beats_given, key_given = rows("simulated", ears, [DrawnSongs(HELD_OUT_SEED)[0]])
    assert heard.startswith("simulated (1 songs): beat_f 0.") and "beat_f 1.0" not in heard
    assert "beats given (1 songs): beat_f 1.000, tempo 1.000, downbeat_f 1.000" in beats_given
    assert "key given" in key_given and key_given.endswith("key 1.000")
