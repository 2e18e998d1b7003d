"""A score as somebody may sing it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samuel_train.listen.songs.sung_score import sung_score
from samuel_train.synth.scores.musicxml import read_scores
from tests.support.train.miniature_scores import musicxml

pytest.importorskip("partitura")


def test_a_score_is_sung_in_time(tmp_path: Path) -> None:
    (tmp_path / "tune.musicxml").write_text(musicxml(beats=3, bars=16))
    (found,), _ = read_scores(tmp_path)
    sung = sung_score(np.random.default_rng(1), found, 20.0)
    assert sung is not None and sung.sheet.meter.value == "3/4"
    intervals = np.diff(sung.sheet.beats_s)
    assert intervals.min() > 0.9 * 60 / 170 and intervals.max() < 1.1
    onsets = np.array([note.onset_s for note in sung.notes])
    beats = np.array(sung.sheet.beats_s)
    nearest = np.abs(onsets[:, None] - beats).min(axis=1)
    assert np.median(nearest) < 0.06
