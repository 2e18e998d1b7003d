"""Rows as numbers, JSON and a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from samuel_train.evaluate.report.report import Results, legend, table, write_results
from samuel_train.evaluate.report.rows import Kind, Row
from tests.support.train import results

_ROWS = [results.CEILING, results.FLOOR, results.case(4, 0.3)]


def test_mean_and_standard_error_over_the_songs_that_have_a_value() -> None:
    row = Row(Kind.TRUTH, None, [results.scores(1.0), results.scores(2.0), results.scores(6.0, chords=False)], 0.0)
    summary = row.summary("key")
    assert summary is not None
    assert (summary.mean, summary.standard_error) == pytest.approx((3.0, np.sqrt(7 / 3)))
    chords = row.summary("chords")
    assert chords is not None and (chords.mean, chords.standard_error) == pytest.approx((1.5, 0.5))
    assert Row(Kind.TRUTH, None, [results.scores(1, chords=False)], 0.0).summary("chords") is None
    assert results.FLOOR.summary("sound") is None


def test_results_hold_every_song(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, results.SUBJECT, Results(_ROWS, [results.transposition(-5, 0)], [results.drift(2, True)]))
    written = json.loads(path.read_text())
    assert written["songs"] == ["a", "b"] and written["backend"] == "cpu fp32"
    ceiling, floor, case = written["rows"]
    assert case["case"] == {"sampler": "ddim", "guidance": 2.0, "steps": 4, "seed": 7, "sheet": "none"}
    assert case["metrics"]["beat"] == {"mean": 0.4, "standard_error": 0.1, "songs": [0.3, 0.5]}
    assert (ceiling["kind"], ceiling["sound"], ceiling["case"]) == ("codec", 1.5, None)
    assert floor["sound"] is None
    assert [one["band"]["spans"]["right"] for one in written["transposition"]] == [1]
    assert [one["metrics"]["level"]["per_minute"] for one in written["windows"]] == [1.5]
    assert set(written["meaning"]) == {*case["metrics"], "sound"}


def test_the_table_has_a_line_per_row_and_every_column_is_explained() -> None:
    header, ceiling, floor, case = table([results.CEILING, results.FLOOR, results.case(4, 0.3)]).split("\n")
    assert ceiling.startswith("true band through the codec") and "1.50" in ceiling
    assert case.startswith("ddim, guidance 2, 4 steps") and "3.25" in case and "+0.4" in case
    assert floor.split()[-10] == "-"
    assert len({len(line) for line in (header, ceiling, floor, case)}) == 1
    assert [line.split()[0] for line in legend().split("\n")] == header.split()
