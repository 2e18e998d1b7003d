"""Lead sheets as estimates might have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from samuel_runtime.leadsheet.raster import BAR, BEAT, KNOWN, KNOWN_BEATS, KNOWN_CHORDS, METER, ROOT, TONES, rasterised
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter
from samuel_train.fit.imperfect_sheets import Faults, with_faults

FRAME_S = 2048 / 44100
FRAMES = 128
NONE = Faults(**{
    **dict.fromkeys(("dropped", "beats_unknown", "chords_unknown", "double_tempo"), np.zeros(1, bool)),
    **dict.fromkeys(("bar_beats", "wrong_steps"), np.zeros(1, int)),
    **dict.fromkeys(("offset", "drift", "periods", "wrong_from", "wrong_share"), np.zeros(1)),
})  # fmt: skip


def raster(bpm: float = 100.0, late_s: float = 0.0, meter: Meter = Meter.WALTZ, late_beats: int = 0) -> Tensor:
    beats = tuple(0.2 + late_s + 60 / bpm * index for index in range(12))
    downbeats = beats[late_beats :: meter.beats]
    chords = (ChordSpan(0.0, "C:maj"), ChordSpan(3.0, "A:min"))
    sheet = LeadSheet(20.0, meter, None, beats, downbeats, chords)
    return torch.from_numpy(rasterised(sheet, FRAMES, FRAME_S))[None]


def test_without_faults_a_sheet_stays_what_it_is() -> None:
    torch.testing.assert_close(with_faults(raster(), NONE), raster())
    drawn = Faults.drawn(np.random.default_rng(0), 50, dropout=0.0, faulty=0.0)
    torch.testing.assert_close(with_faults(raster().repeat(50, 1, 1), drawn), raster().repeat(50, 1, 1))


def test_late_beats_are_those_of_a_sheet_whose_beats_are_late() -> None:
    late = with_faults(raster(bpm=100.0), replace(NONE, offset=np.array([0.1])))
    torch.testing.assert_close(late, raster(bpm=100.0, late_s=0.06), atol=1e-4, rtol=0)


def test_late_bars_are_those_of_a_sheet_whose_downbeats_are_late() -> None:
    late = with_faults(raster(), replace(NONE, bar_beats=np.array([1])))
    torch.testing.assert_close(late, raster(late_beats=1), atol=1e-4, rtol=0)


def test_double_tempo_is_that_of_a_sheet_with_twice_the_beats() -> None:
    double = with_faults(raster(bpm=60.0), replace(NONE, double_tempo=np.array([True])))
    torch.testing.assert_close(double[:, BEAT], raster(bpm=120.0)[:, BEAT], atol=1e-4, rtol=0)


def test_a_wrong_chord_is_a_transposed_one_for_a_while() -> None:
    faults = replace(NONE, wrong_from=np.array([0.5]), wrong_share=np.array([0.25]), wrong_steps=np.array([5]))
    faulty, true = with_faults(raster(), faults), raster()
    for channels in (TONES, ROOT):
        torch.testing.assert_close(faulty[:, channels, 65:95], true[:, channels, 65:95].roll(5, dims=1))
        torch.testing.assert_close(faulty[:, channels, :63], true[:, channels, :63])
        torch.testing.assert_close(faulty[:, channels, 97:], true[:, channels, 97:])


@pytest.mark.parametrize(
    ("name", "gone", "stays"),
    [
        ("beats_unknown", [BEAT, BAR, METER, slice(KNOWN_BEATS, KNOWN_BEATS + 2)], [TONES, ROOT]),
        ("chords_unknown", [TONES, ROOT, slice(KNOWN_CHORDS, KNOWN_CHORDS + 1)], [BEAT, BAR, METER]),
        ("dropped", [BEAT, BAR, METER, TONES, ROOT, KNOWN], []),
    ],
)
def test_what_is_unknown_is_zero(name: str, gone: list[slice], stays: list[slice]) -> None:
    faulty = with_faults(raster(), replace(NONE, **{name: np.array([True])}))
    assert not any(faulty[:, channels].any() for channels in gone)
    for channels in stays:
        torch.testing.assert_close(faulty[:, channels], raster()[:, channels])


def test_faults_are_drawn_as_often_as_asked() -> None:
    faults = Faults.drawn(np.random.default_rng(0), 20000, dropout=0.2, faulty=0.5)
    assert faults.dropped.mean() == pytest.approx(0.2, abs=0.02)
    assert (faults.offset != 0).mean() == pytest.approx(0.5, abs=0.02)
    assert 0.5 * 0.25 < (faults.wrong_share > 0).mean() < 0.5 * 0.35
    part = faults.share(slice(10, 20))
    np.testing.assert_array_equal(part.offset, faults.offset[10:20])
