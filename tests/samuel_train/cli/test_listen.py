"""``samuel-train listen``: what it hands on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from samuel_train.cli.listen import command
from tests.support.train.miniature_scores import musicxml

pytest.importorskip("partitura")


def test_every_collection_of_scores_is_handed_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, scores in (("many", 3), ("few", 1)):
        (tmp_path / name).mkdir()
        for number in range(scores):
            (tmp_path / name / f"{number}.musicxml").write_text(musicxml())
    (tmp_path / "few" / "short.musicxml").write_text(musicxml(bars=2))
    given: list[Any] = []

    def trained(
        out: Path, settings: Any, voices: Any, collections: Any, *rest: Any, **options: Any
    ) -> dict[str, float]:
        given.extend(collections)
        return {}

    monkeypatch.setattr("samuel_train.listen.loop.train_estimator", trained)
    sheets = ["--sheets", str(tmp_path / "many"), "--sheets", str(tmp_path / "few")]
    ran = CliRunner().invoke(command, ["-o", str(tmp_path / "out"), *sheets])
    assert ran.exit_code == 0, ran.output
    assert [len(scores) for scores in given] == [3, 1]
    assert "skipped short.musicxml: has 9 notes" in ran.output
