"""Rows as numbers, JSON, a table and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from samuel_runtime.choices import Sampler
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.picture import draw, page
from samuel_train.evaluate.report import Subject, legend, table, write_results
from samuel_train.evaluate.rows import Kind, Row
from samuel_train.evaluate.scores import METRICS, Scores

_SUBJECT = Subject("0" * 64, "cpu fp32", ("a", "b"))


def _scores(value: float, chords: bool = True) -> Scores:
    return {metric.name: value for metric in METRICS if chords or metric.name != "chords"}


def _case(steps: int, value: float) -> Row:
    return Row(Kind.CASE, Case(Sampler.DDIM, 2.0, steps, 7), [_scores(value), _scores(value + 0.2)], 3.25)


_CEILING = Row(Kind.CODEC, None, [_scores(0.9), _scores(0.7)], 1.5)
_FLOOR = Row(Kind.OTHER, None, [_scores(0.1), _scores(0.1)], None)


def test_mean_and_standard_error_over_the_songs_that_have_a_value() -> None:
    row = Row(Kind.TRUTH, None, [_scores(1.0), _scores(2.0), _scores(6.0, chords=False)], 0.0)
    summary = row.summary("key")
    assert summary is not None
    assert (summary.mean, summary.standard_error) == pytest.approx((3.0, np.sqrt(7 / 3)))
    chords = row.summary("chords")
    assert chords is not None and (chords.mean, chords.standard_error) == pytest.approx((1.5, 0.5))
    assert Row(Kind.TRUTH, None, [_scores(1, chords=False)], 0.0).summary("chords") is None
    assert _FLOOR.summary("sound") is None


def test_results_hold_every_song(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, _SUBJECT, [_CEILING, _FLOOR, _case(4, 0.3)])
    results = json.loads(path.read_text())
    assert results["songs"] == ["a", "b"] and results["way"] == "cpu fp32"
    ceiling, floor, case = results["rows"]
    assert case["case"] == {"sampler": "ddim", "guidance": 2.0, "steps": 4, "seed": 7}
    assert case["metrics"]["beat"] == {"mean": 0.4, "standard_error": 0.1, "songs": [0.3, 0.5]}
    assert (ceiling["kind"], ceiling["sound"], ceiling["case"]) == ("codec", 1.5, None)
    assert floor["sound"] is None
    assert set(results["meaning"]) == {*case["metrics"], "sound"}


def test_the_table_has_a_line_per_row_and_every_column_is_explained() -> None:
    header, ceiling, floor, case = table([_CEILING, _FLOOR, _case(4, 0.3)]).split("\n")
    assert ceiling.startswith("true band through the codec") and "1.50" in ceiling
    assert case.startswith("ddim, guidance 2, 4 steps") and "3.25" in case and "+0.4" in case
    assert floor.split()[-5] == "-"
    assert len({len(line) for line in (header, ceiling, floor, case)}) == 1
    assert [line.split()[0] for line in legend().split("\n")] == header.split()


def test_every_panel_shows_the_cases_between_the_controls() -> None:
    panels = page([_CEILING, _FLOOR, _case(4, 0.3), _case(8, 0.5)]).axes
    assert len(panels) == 8
    for panel in panels:
        lines = {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float).tolist() for line in panel.lines}
        (bars,) = panel.containers
        steps, means = bars[0].get_data()
        assert bars.get_label() == "ddim, guidance 2" and steps.tolist() == [4, 8]
        if "sound" in panel.get_title():
            assert (means.tolist(), lines["true band through the codec"]) == ([3.25, 3.25], [1.5, 1.5])
            assert "another song's band" not in lines
        else:
            assert means.tolist() == pytest.approx([0.4, 0.6])
            assert lines["true band through the codec"] == pytest.approx([0.8, 0.8])
            assert lines["another song's band"] == pytest.approx([0.1, 0.1])


def test_a_picture_is_written(tmp_path: Path) -> None:
    draw(tmp_path / "one.png", [_CEILING, _FLOOR, _case(4, 0.3)])
    picture = image.imread(tmp_path / "one.png")
    assert picture.shape == (880, 1760, 4) and np.ptp(picture) == 1
