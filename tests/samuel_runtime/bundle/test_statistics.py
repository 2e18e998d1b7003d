from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.errors import UserError

RNG = np.random.default_rng(0)
STATISTICS = Statistics(*RNG.uniform(0.5, 2, (4, 8)).astype(np.float32), clamp_min=-4.5, clamp_max=5.5)


def test_normalising_and_back_is_the_identity() -> None:
    latents = RNG.standard_normal((3, 8, 20)).astype(np.float32)
    back = STATISTICS.denormalise_accompaniment(STATISTICS.normalise_accompaniment(latents))
    np.testing.assert_allclose(back, latents, atol=1e-5)


def test_each_channel_has_its_own_mean_and_deviation() -> None:
    latents = STATISTICS.vocals_mean[:, None] + STATISTICS.vocals_std[:, None] * RNG.standard_normal((8, 50_000))
    z = STATISTICS.normalise_vocals(latents)
    np.testing.assert_allclose(z.mean(axis=1), 0, atol=0.03)
    np.testing.assert_allclose(z.std(axis=1), 1, atol=0.03)


def test_json_keeps_every_bit() -> None:
    back = Statistics.from_dict(json.loads(json.dumps(STATISTICS.to_dict())))
    for name, value in STATISTICS.to_dict().items():
        np.testing.assert_array_equal(getattr(back, name), value)


@pytest.mark.parametrize(
    "name, value",
    [("vocals_mean", [1.0] * 7), ("vocals_mean", 1.0), ("vocals_mean", [[1.0] * 8]), ("vocals_mean", None),
     ("vocals_std", [1.0] * 7 + [float("nan")]), ("vocals_std", [1.0] * 7 + [0.0]), ("vocals_std", [-1.0] * 8),
     ("accompaniment_mean", [float("inf")] * 8), ("accompaniment_std", ["x"] * 8),
     ("accompaniment_mean", [10**400] * 8),
     ("clamp_min", 6.0), ("clamp_max", float("inf")), ("clamp_max", None), ("clamp_max", 10**400), ("extra", 1.0)],
)  # fmt: skip
def test_bad_entries_are_refused(name: str, value: Any) -> None:
    with pytest.raises(UserError, match="statistics"):
        Statistics.from_dict({**STATISTICS.to_dict(), name: value})


def test_a_missing_entry_is_refused() -> None:
    values = STATISTICS.to_dict()
    del values["clamp_min"]
    with pytest.raises(UserError, match="clamp_min"):
        Statistics.from_dict(values)
