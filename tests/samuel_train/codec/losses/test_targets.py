"""Targets are the frequencies and levels that are there."""

from __future__ import annotations

import math

import pytest
import torch

from samuel_runtime.codec.spectrum import LOWEST_BIN, LOWEST_MIDI
from samuel_train.codec.losses.targets import decimated, targets_of

RATE_HZ, SAMPLES = 44_100, 65_536


def sine(hz: float, level: float = 0.2) -> torch.Tensor:
    return level * torch.sin(2 * math.pi * hz * torch.arange(SAMPLES, dtype=torch.float64) / RATE_HZ).float()


@pytest.mark.parametrize("midi", [28.0, 31.37, 40.45, 52.0, 63.8, 75.6])
def test_a_low_partial_is_found_in_its_semitone(midi: float) -> None:
    tone = sine(440 * 2 ** ((midi - 69) / 12))
    targets = targets_of(torch.stack([tone, tone])[None])
    frame, place = 64, round(midi) - LOWEST_MIDI
    assert targets.partial_amplitudes[0, frame].argmax() == place
    assert targets.partial_amplitudes[0, frame, place].item() == pytest.approx(0.2, rel=0.02)
    assert targets.partial_deviations[0, frame, place].item() == pytest.approx(midi - round(midi), abs=0.02)


def test_a_high_partial_turns_by_its_distance_from_the_bin() -> None:
    hz = 100.3 * RATE_HZ / 2048
    targets = targets_of(torch.stack([sine(hz), sine(hz)])[None])
    assert targets.bin_deviations[0, 60, 100 - LOWEST_BIN].item() == pytest.approx(0.3, abs=1e-3)
    assert targets.bin_deviations[0, 60, 101 - LOWEST_BIN].item() == pytest.approx(-0.7, abs=1e-3)


def test_side_is_told_by_its_angle_to_mid() -> None:
    hz = 200 * RATE_HZ / 2048
    targets = targets_of(torch.stack([sine(hz), 0.5 * sine(hz)])[None])
    place = 200 - LOWEST_BIN
    assert targets.coherences[0, 60, place].item() == pytest.approx(1, abs=1e-3)
    assert targets.mid_levels[0, 60, place].item() == pytest.approx(math.log(0.15), abs=0.01)
    assert targets.side_levels[0, 60, place].item() == pytest.approx(math.log(0.05), abs=0.01)


def test_decimation_keeps_what_is_low() -> None:
    hz = 64 * RATE_HZ / SAMPLES * 4
    low = decimated(sine(hz)[None])
    assert low.shape == (1, SAMPLES // 16)
    assert torch.allclose(low[0], sine(hz)[::16], atol=1e-4)


def test_silence_has_no_partials() -> None:
    targets = targets_of(torch.zeros(1, 2, SAMPLES))
    assert not targets.partial_amplitudes.any()
    assert all(value.isfinite().all() for value in vars(targets).values())
