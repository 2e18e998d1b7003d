"""The table of an estimator: every line is of decoded sheets."""

from __future__ import annotations

import torch

from samuel_train.listen.config import EstimatorConfig
from samuel_train.listen.examples import HELD_OUT_SEED, Examples
from samuel_train.listen.measure import estimator_of, rows
from samuel_train.listen.network import EstimatorNetwork


def test_what_is_given_is_right() -> None:
    torch.manual_seed(0)
    network = EstimatorNetwork(EstimatorConfig(width=8, octaves=2, stacks=1)).eval()
    heard, beats_given, key_given = rows("simulated", estimator_of(network), [Examples(HELD_OUT_SEED).song(0)])
    assert heard.startswith("simulated (1 songs): beat_f 0.") and "beat_f 1.0" not in heard
    assert "beats given (1 songs): beat_f 1.000, tempo 1.000, downbeat_f 1.000" in beats_given
    assert "key given" in key_given and key_given.endswith("key 1.000")
