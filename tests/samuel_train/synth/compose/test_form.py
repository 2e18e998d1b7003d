"""Styles, meters and plans."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.synth.compose import form
from samuel_train.synth.compose.form import LEAST_SUNG, plan_song
from samuel_train.synth.compose.meter import COMMON, METERS, SIX_EIGHT
from samuel_train.synth.compose.style_book import STYLES
from samuel_train.synth.compose.styles import Section, Style


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_style_lines_are_whole_bars_of_known_marks(style: Style) -> None:
    drums = [line for groove in (*style.grooves, style.lift) for line in groove.values()]
    comping = [line for layer in style.layers for line in layer.lines]
    for lines, marks in ((drums, "Xxo."), (style.bass, "R358a.-"), (comping, "Xxu0123.-")):
        for line in lines:
            assert len(line) == style.meter.steps
            assert set(line) <= set(marks)


def test_styles_cover_the_meters_and_tempos_from_60_to_180() -> None:
    assert {style.meter for style in STYLES} == set(METERS)
    assert min(style.tempo_bpm[0] for style in STYLES) == 60
    assert max(style.tempo_bpm[1] for style in STYLES) == 180
    assert len({style.name for style in STYLES}) == len(STYLES) >= 5


def test_swing_moves_only_what_lies_between_the_beats() -> None:
    steps = [COMMON.swung(step, 1 / 6) for step in range(17)]
    assert steps[::4] == [0, 4, 8, 12, 16]
    assert steps[2] == pytest.approx(8 / 3)
    assert all(np.diff(steps) > 0)
    assert SIX_EIGHT.swung(3, 1 / 6) == 3


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("duration_s", [5.0, 60.0])
def test_plan_fills_the_excerpt_with_a_song_to_sing(seed: int, duration_s: float) -> None:
    plan = plan_song(np.random.default_rng(seed), duration_s)
    assert plan.start_s <= 0
    assert plan.time_s(len(plan.bars) * plan.meter.beats) >= duration_s - 1e-6
    times_s = np.arange(0, duration_s, 0.1)
    sung = [plan.bars[min(int((t - plan.start_s) / plan.bar_s), len(plan.bars) - 1)].section.sung for t in times_s]
    assert np.mean(sung) > LEAST_SUNG - 0.1
    assert {Section.VERSE, Section.CHORUS} <= {bar.section for bar in plan.bars}


def test_excerpts_begin_anywhere_in_the_song() -> None:
    plans = [plan_song(np.random.default_rng(seed), 20.0) for seed in range(60)]
    places = [-plan.start_s / (len(plan.bars) * plan.bar_s) for plan in plans]
    inside = [(-plan.start_s / plan.bar_s) % 1 for plan in plans]
    assert min(places) < 0.1
    assert max(places) > 0.6
    assert np.histogram(inside, 4, (0, 1))[0].min() >= 6  # nor only on bar lines


def test_all_keys_and_styles_are_drawn() -> None:
    plans = [plan_song(np.random.default_rng(seed), 5.0) for seed in range(300)]
    assert len({plan.key for plan in plans}) == 24
    assert {plan.style.name for plan in plans} == {style.name for style in STYLES}


def test_some_bars_have_two_chords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "_TURNAROUND", 1.0)
    plan = plan_song(np.random.default_rng(1), 30.0)
    assert any(bar.changes for bar in plan.bars)
