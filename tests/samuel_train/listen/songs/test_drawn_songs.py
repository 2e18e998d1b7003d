"""What songs are drawn from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samuel_runtime.leadsheet import Meter
from samuel_train.listen.songs import drawn_songs
from samuel_train.listen.songs.drawn_songs import DrawnSongs
from tests.support.train.miniature_scores import TUNE


def test_a_large_collection_is_heard_no_more_often_than_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn_songs, "FRAMES", 1024)  # twelve seconds
    notes = tuple((quarter, quarter + 1.0, 60 + int(quarter) % 5) for quarter in map(float, range(32)))
    common = replace(TUNE, notes=notes)
    waltz = replace(common, meter=Meter.WALTZ, downbeats=tuple(3.0 * bar for bar in range(11)))
    drawn = DrawnSongs(3, collections=[[waltz], [common] * 19])
    keyed = [sheet.meter for _, sheet in map(drawn.__getitem__, range(80)) if sheet.key == "C major"]
    assert len(keyed) > 20
    assert 0.3 < sum(meter is Meter.WALTZ for meter in keyed) / len(keyed) < 0.75
