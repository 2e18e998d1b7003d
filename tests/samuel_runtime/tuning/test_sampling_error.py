"""The data that time budgets go by."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.settings import Sampler
from samuel_runtime.tuning.sampling_error import FEWEST_STEPS, MOST_STEPS, SAMPLING_ERROR, distance


def test_more_steps_are_nearer_and_the_second_order_is_nearer_than_the_first() -> None:
    for entries in SAMPLING_ERROR.values():
        assert list(entries) == sorted(entries) and (min(entries), max(entries)) == (FEWEST_STEPS, MOST_STEPS)
        assert list(entries.values()) == sorted(entries.values(), reverse=True)
    for steps in SAMPLING_ERROR[Sampler.DDIM]:
        assert distance(Sampler.DPM_SOLVER_2M, steps) < distance(Sampler.DDIM, steps)


def test_between_two_entries_it_follows_a_power_law_and_beyond_them_stays() -> None:
    entries = SAMPLING_ERROR[Sampler.DDIM]
    assert [distance(Sampler.DDIM, steps) for steps in entries] == pytest.approx(list(entries.values()))
    assert distance(Sampler.DDIM, 20) == pytest.approx(
        entries[16] * (20 / 16) ** (np.log(entries[25] / entries[16]) / np.log(25 / 16))
    )
    assert distance(Sampler.DDIM, 1) == pytest.approx(entries[FEWEST_STEPS])
    assert distance(Sampler.DDIM, 800) == pytest.approx(entries[MOST_STEPS])
    with pytest.raises(KeyError):
        distance(Sampler.ANCESTRAL, 800)
