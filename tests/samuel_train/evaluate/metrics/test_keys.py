"""Keys of scales, and how near a wrong key is."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.metrics.keys import NO_KEY, estimate_key, key_score, signature_agrees
from samuel_train.evaluate.spectra import analysed, chroma
from tests.support.train import signals

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def _key(samples: np.ndarray) -> str:
    return estimate_key(chroma(analysed(samples, signals.RATE_HZ)))


@pytest.mark.parametrize(
    ("tonic", "steps", "key"),
    [(62, _MAJOR, "D major"), (65, _MAJOR, "F major"), (63, _MAJOR, "Eb major"), (57, _MINOR, "A minor")],
)
def test_key_of_a_scale(tonic: int, steps: tuple[int, ...], key: str) -> None:
    assert _key(signals.scale(tonic, steps)) == key


def test_key_is_heard_where_the_channels_cancel_in_a_sum() -> None:
    samples = signals.scale(62, _MAJOR)
    samples[:, 1] *= -1
    assert _key(samples) == "D major"


def test_silence_has_no_key_and_scores_nothing() -> None:
    assert _key(signals.silence(3)) == NO_KEY
    assert key_score("D major", NO_KEY) == 0


@pytest.mark.parametrize(
    ("estimated", "score"),
    [("D major", 1.0), ("A major", 0.5), ("B minor", 0.3), ("D minor", 0.2), ("Ab major", 0.0)],
)
def test_near_keys_score_a_part(estimated: str, score: float) -> None:
    assert key_score("D major", estimated) == score


@pytest.mark.parametrize(
    ("estimated", "agrees"),
    [("D major", True), ("B minor", True), ("A major", False), ("D minor", False), (NO_KEY, False)],
)
def test_the_relative_key_has_the_same_tones(estimated: str, agrees: bool) -> None:
    assert signature_agrees("D major", estimated) == agrees
