"""Quick reductions over channels are numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.audio.channels import loudest, middle


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_they_are_what_numpy_computes(channels: int) -> None:
    samples = np.random.default_rng(channels).standard_normal((1000, channels)).astype(np.float32)
    mean, largest = middle(samples), loudest(samples)
    assert mean.dtype == largest.dtype == np.float32
    np.testing.assert_array_equal(mean, samples.mean(axis=1, keepdims=True))
    np.testing.assert_array_equal(largest, np.abs(samples).max(axis=1))
