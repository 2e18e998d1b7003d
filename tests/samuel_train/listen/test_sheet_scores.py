"""Sheets that are wrong in one way each, against the true one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samuel_runtime.leadsheet import ChordSpan, LeadSheet
from samuel_train.listen.sheet_scores import SheetScores, mean_scores, sheet_scores

BEATS_S = tuple(np.arange(0.5, 30, 0.5).tolist())
TRUTH = LeadSheet(
    30.0,
    key="A minor",
    beats_s=BEATS_S,
    downbeats_s=BEATS_S[::4],
    chords=(ChordSpan(0.0, "A:min"), ChordSpan(15.0, "F:maj"), ChordSpan(25.0, "N")),
)


def test_the_truth_agrees_with_itself() -> None:
    assert sheet_scores(TRUTH, TRUTH) == SheetScores(1.0, 1.0, 1.0, 1.0, 1.0)


def test_twice_the_tempo_is_allowed_and_half_of_its_beats_are_wrong() -> None:
    twice = tuple(np.arange(0.5, 29.6, 0.25).tolist())
    found = sheet_scores(replace(TRUTH, beats_s=twice, downbeats_s=twice[::4]), TRUTH)
    assert found.tempo == 1 and found.beat_f == pytest.approx(2 / 3, abs=0.01)
    other = tuple(np.arange(0.5, 29.6, 0.4).tolist())
    assert sheet_scores(replace(TRUTH, beats_s=other, downbeats_s=other[::4]), TRUTH).tempo == 0


def test_bars_that_begin_on_the_third_beat_are_wrong() -> None:
    found = sheet_scores(replace(TRUTH, downbeats_s=BEATS_S[2::4]), TRUTH)
    assert found.downbeat_f == 0 and found.beat_f == 1


def test_roots_count_where_there_is_one() -> None:
    found = sheet_scores(replace(TRUTH, chords=(ChordSpan(0.0, "A:maj"), ChordSpan(20.0, "C:maj"))), TRUTH)
    assert found.root == pytest.approx(15 / 25)


@pytest.mark.parametrize(("key", "right"), [("C major", 1), ("A major", 0), ("E minor", 0), (None, 0)])
def test_the_relative_key_is_right(key: str | None, right: int) -> None:
    assert sheet_scores(replace(TRUTH, key=key), TRUTH).key == right


def test_what_is_not_known_is_left_out_of_means() -> None:
    unknown = sheet_scores(TRUTH, replace(TRUTH, key=None, chords=()))
    assert np.isnan(unknown.key) and np.isnan(unknown.root)
    wrong = sheet_scores(replace(TRUTH, key="E minor"), TRUTH)
    mean = mean_scores([unknown, wrong])
    assert mean.key == 0 and mean.root == 1 and mean.beat_f == 1
    assert "key 0.000" in str(mean)
