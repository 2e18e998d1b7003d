"""Beats, bars and meter from activations whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mir_eval.beat import f_measure

from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter
from tests.support.heard import CLEAN, NOISY, Hearing, even_sheet, heard


def beat_f(truth: LeadSheet, found: LeadSheet) -> float:
    """Within 70 ms."""
    return float(f_measure(np.array(truth.beats_s), np.array(found.beats_s)))


def downbeat_f(truth: LeadSheet, found: LeadSheet) -> float:
    return float(f_measure(np.array(truth.downbeats_s), np.array(found.downbeats_s)))


@settings(max_examples=6, deadline=None, derandomize=True)
@given(bpm=st.floats(60, 190), phase=st.floats(0, 1), meter=st.sampled_from(Meter))
def test_clean_beats_are_found_at_their_times(bpm: float, phase: float, meter: Meter) -> None:
    truth = even_sheet(bpm, 24, phase * 60 / bpm, meter, shift=1)
    found = decode(heard(truth), 24)
    assert beat_f(truth, found) >= 0.95
    assert downbeat_f(truth, found) >= 0.95
    assert found.meter is meter
    inner = np.array(found.beats_s)[2:-2]
    nearest = np.abs(inner[:, None] - np.array(truth.beats_s)).min(axis=1)
    assert nearest.max() < 0.004  # a third of a frame


@settings(max_examples=6, deadline=None, derandomize=True)
@given(bpm=st.floats(60, 190), phase=st.floats(0, 1), seed=st.integers(0, 1000))
def test_noisy_beats_are_found(bpm: float, phase: float, seed: int) -> None:
    truth = even_sheet(bpm, 40, phase * 60 / bpm)
    found = decode(heard(truth, NOISY, seed), 40)
    assert beat_f(truth, found) >= 0.85
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.02)


@pytest.mark.parametrize("meter", Meter)
def test_bars_are_found_among_noise(meter: Meter) -> None:
    truth = even_sheet(88, 60, meter=meter, shift=1)
    found = decode(heard(truth, NOISY, 3), 60)
    assert found.meter is meter
    assert downbeat_f(truth, found) >= 0.85


@pytest.mark.parametrize("factor", [0.05, 10.0])
def test_bars_stay_when_all_downbeats_are_heard_too_faintly_or_too_loudly(factor: float) -> None:
    truth = even_sheet(96, 60)
    activations = heard(truth, replace(NOISY, downbeats=0.6), 5)
    odds = activations.downbeat / np.maximum(1 - activations.downbeat, 1e-6) * factor
    found = decode(replace(activations, downbeat=odds / (1 + odds)), 60)
    assert found.meter is Meter.COMMON
    assert downbeat_f(truth, found) >= 0.85


@pytest.mark.parametrize("bpm", [70, 97, 141])
def test_a_rest_of_ten_seconds_is_counted_through(bpm: float) -> None:
    truth = even_sheet(bpm, 60, shift=2)
    found = decode(heard(truth, NOISY, 1, gaps_s=((0, 4), (20, 30))), 60)
    assert beat_f(truth, found) >= 0.95
    assert downbeat_f(truth, found) >= 0.95
    rest = [time_s for time_s in found.beats_s if 20 < time_s < 30]
    assert np.ptp(np.diff(rest)) < 0.01


def test_a_long_rest_is_counted_at_the_tempo_before_it() -> None:
    truth = even_sheet(170, 80)
    found = decode(heard(truth, NOISY, 1, gaps_s=((20, 60),)), 80)
    assert beat_f(truth, found) >= 0.95


@pytest.mark.parametrize("drift", [-0.3, -0.05, 0.05, 0.4])
def test_a_tempo_that_drifts_is_followed(drift: float) -> None:
    truth = even_sheet(110, 90, drift=drift)
    found = decode(heard(truth, NOISY, 2), 90)
    assert beat_f(truth, found) >= 0.95
    lengths = [np.median(np.diff(sheet.beats_s)[-10:]) for sheet in (found, truth)]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.01)


@pytest.mark.parametrize("bpm", [80, 100, 120])
def test_eighths_do_not_double_the_tempo(bpm: float) -> None:
    truth = even_sheet(bpm, 60)
    found = decode(heard(truth, replace(NOISY, between=0.8), 4), 60)
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.04)


@pytest.mark.parametrize("seed", [0, 2])
def test_beats_that_are_often_missed_do_not_halve_the_tempo(seed: int) -> None:
    truth = even_sheet(125, 40)
    found = decode(heard(truth, Hearing(0.15, 0.35, 0.2, 0.015, 0.04), seed), 40)
    assert found.tempo_bpm == pytest.approx(125, rel=0.04)


def test_the_usual_tempo_decides_where_the_activations_do_not() -> None:
    """Every second of 180 a minute is heard so that it speaks hardly for a beat."""
    truth = even_sheet(180, 60)
    activations = heard(even_sheet(90, 60))
    faint = np.maximum(activations.beat, 0.4 * heard(truth).beat)
    found = decode(replace(activations, beat=faint), 60)
    assert found.tempo_bpm == pytest.approx(90, rel=0.01)


def test_beats_are_steadier_than_their_peaks() -> None:
    truth = even_sheet(104, 60)
    found = decode(heard(truth, replace(CLEAN, jitter_s=0.015), 7), 60)
    error_s = np.array(found.beats_s[1:-1]) - np.interp(
        np.arange(1, len(found.beats_s) - 1), np.arange(len(truth.beats_s)), truth.beats_s
    )
    assert np.std(error_s) < 0.006


def test_confidence_is_what_the_beats_are_heard_with() -> None:
    truth = even_sheet(100, 30)
    sure, unsure = (decode(heard(truth, hearing), 30).confidence for hearing in (CLEAN, NOISY))
    assert unsure.beats < 0.7 < sure.beats <= 1
    assert unsure.bars < sure.bars <= 1
