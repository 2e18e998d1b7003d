"""Which song takes which score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from samuel_runtime.errors import UserError
from samuel_train.synth.scores.sheets import Sheets, digest
from samuel_train.synth.song import compose
from tests.support.train.miniature_scores import TUNE, harmony, musicxml

SCORES = tuple(replace(TUNE, name=f"{number}.xml") for number in range(7))


def names(sheets: Sheets, seed: int, songs: int) -> list[str | None]:
    scores = [sheets.score_of(seed, index) for index in range(songs)]
    return [None if score is None else score.name for score in scores]


@pytest.mark.parametrize("seed", [0, 1])
def test_no_score_comes_twice_before_all_have_come(seed: int) -> None:
    drawn = names(Sheets(SCORES), seed, 14)
    everything = {score.name for score in SCORES}
    assert set(drawn[:7]) == set(drawn[7:]) == everything
    assert drawn[:7] != drawn[7:]
    assert drawn != names(Sheets(SCORES), seed + 2, 14)


def test_songs_from_one_score_differ_in_tempo_and_excerpt() -> None:
    sheets = Sheets(SCORES[:1])
    facts = [compose(seed, 6.0, 0.0, sheets.score_of(0, seed)) for seed in range(12)]
    assert len({each.facts.tempo_bpm for each in facts}) == len({each.plan.start_s for each in facts}) == 12


@pytest.mark.parametrize(("share", "expected"), [(0.3, 30), (0.5, 50), (0.01, 1), (1.0, 100)])
def test_a_share_of_the_songs_takes_scores_evenly(share: float, expected: int) -> None:
    drawn = names(Sheets(SCORES, share), 0, 100)
    assert sum(name is not None for name in drawn) == expected
    assert names(Sheets(SCORES, share), 0, 40) == drawn[:40]
    taken = [name for name in drawn if name is not None]
    assert len(set(taken[:7])) == min(expected, 7)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(UserError, match="share"):
        Sheets(SCORES, share)


def test_a_digest_changes_with_the_score() -> None:
    assert digest(TUNE) == digest(replace(TUNE))
    assert digest(TUNE) != digest(replace(TUNE, notes=TUNE.notes[1:]))


def test_held_out_scores_are_apart_and_those_of_uncertain_key_are_left_out(tmp_path: Path) -> None:
    pytest.importorskip("partitura")
    (tmp_path / "heldout").mkdir()
    (tmp_path / "a.xml").write_text(musicxml())
    (tmp_path / "unclear.xml").write_text(musicxml(harmonies=[harmony("D", "major")]))
    (tmp_path / "heldout" / "b.xml").write_text(musicxml())
    sheets, skipped = Sheets.read(tmp_path)
    assert [score.name for score in sheets.scores] == ["a.xml"]
    assert [(each.song, "key is uncertain" in each.reason) for each in skipped] == [("unclear.xml", True)]
    sheets, skipped = Sheets.read(tmp_path, held_out=True)
    assert [score.name for score in sheets.scores] == ["heldout/b.xml"] and not skipped
    (tmp_path / "a.xml").unlink()
    with pytest.raises(UserError, match=r"none of 1 scores can be played; unclear\.xml: its key is uncertain"):
        Sheets.read(tmp_path)
