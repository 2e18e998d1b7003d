"""Targets: pulses, chords and key of a sheet, frame by frame."""

from __future__ import annotations

import numpy as np

from samuel_runtime.leadsheet import ChordSpan, LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_train.listen.songs.sung_sheet import drawn_warp, warped_sheet
from samuel_train.listen.songs.targets import UNKNOWN, targets_of

SHEET = LeadSheet(
    duration_s=4.0,
    key="A minor",
    beats_s=(0.5, 1.0, 1.5, 2.0),
    downbeats_s=(0.5,),
    chords=(ChordSpan(0.0, "A:min"), ChordSpan(1.0, "N"), ChordSpan(2.0, "X"), ChordSpan(3.0, "F:maj")),
)


def frame(time_s: float) -> int:
    return int(time_s / FRAME_S)


def test_what_is_written_is_asked_for() -> None:
    found = targets_of(SHEET, 400)
    assert [frame(time_s) for time_s in SHEET.beats_s] == list(np.flatnonzero(found.pulses[0] == 1))
    assert list(np.flatnonzero(found.pulses[1])) == list(range(frame(0.5) - 2, frame(0.5) + 3))
    at = [frame(time_s) for time_s in (0.5, 1.5, 2.5, 3.5, 4.5)]
    assert list(found.root[at]) == [9, UNKNOWN, UNKNOWN, 5, UNKNOWN]
    assert list(found.chord_known[at]) == [1, 1, 0, 1, 0]  # no chord is known, an unknown one and the end are not
    assert list(np.flatnonzero(found.tones[:, at[0]])) == [0, 4, 9] and not found.tones[:, at[1]].any()
    assert found.key == 12 + 9 and list(found.pulses_known) == [1, 1]


def test_a_sheet_without_bars_says_so() -> None:
    found = targets_of(LeadSheet(duration_s=4.0, beats_s=(0.5, 1.0)), 100)
    assert list(found.pulses_known) == [1, 0] and found.key == UNKNOWN and not found.chord_known.any()


def test_a_warp_keeps_the_order_of_times_and_finds_back() -> None:
    for seed in range(20):
        warp = drawn_warp(np.random.default_rng(seed), 1.2)
        times_s = np.linspace(0, 60, 200)
        moved = np.array([warp(time_s) for time_s in times_s])
        assert warp(0.0) == 0 and (np.diff(moved) > 0).all()
        np.testing.assert_allclose(warp.origin_s(moved), times_s, atol=1e-6)
        assert warped_sheet(SHEET, warp).beats_s[0] == warp(0.5)
