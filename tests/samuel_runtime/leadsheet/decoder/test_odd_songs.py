"""Songs that are hardly any: silence, a single frame, an estimator that is stuck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samuel_runtime.leadsheet.activations import FRAME_S, Activations
from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import LeadSheet
from tests.support.heard import NOISY, even_sheet, heard


def constant(value: float, duration_s: float) -> Activations:
    frames = int(np.ceil(duration_s / FRAME_S))
    return Activations(*[np.full((frames, *rest), value, np.float32) for rest in ((), (), (12,), (12,), (24,))])


def check(sheet: LeadSheet) -> None:
    """Numbers only; the sheet itself has checked its times."""
    confidence = sheet.confidence
    parts = (confidence.beats, confidence.bars, confidence.key, confidence.chords)
    assert all(0 <= part <= 1 for part in (*parts, *(chord.confidence for chord in sheet.chords)))


@pytest.mark.parametrize("value", [0.0, 0.04, 0.5, 1.0])
@pytest.mark.parametrize("duration_s", [0.001, 0.4, 20.0])
def test_what_never_changes_has_no_beats(value: float, duration_s: float) -> None:
    found = decode(constant(value, duration_s), duration_s)
    check(found)
    assert not found.beats_s
    assert not found.chords
    assert found.confidence.beats == 0


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("duration_s", [0.001, 0.4, 20.0])
def test_a_click_goes_through_silence(value: float, duration_s: float) -> None:
    found = decode(constant(value, duration_s), duration_s, Given(bpm=120))
    check(found)
    assert len(found.beats_s) == np.ceil(duration_s / 0.5)
    assert not found.chords


@pytest.mark.parametrize("duration_s", [0.02, 0.3, 0.9, 1.4])
def test_a_song_may_be_shorter_than_a_bar(duration_s: float) -> None:
    found = decode(heard(even_sheet(150, duration_s, 0.01, chords=("C:maj",)), NOISY), duration_s)
    check(found)


def test_quiet_beats_are_beats() -> None:
    truth = even_sheet(100, 30)
    activations = heard(truth)
    found = decode(replace(activations, beat=activations.beat * 0.2, downbeat=activations.downbeat * 0.2), 30)
    assert len(found.beats_s) == pytest.approx(len(truth.beats_s), abs=1)


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_frames_may_be_missing_or_too_many(share: float) -> None:
    truth = even_sheet(100, 20 * share)
    found = decode(heard(truth), 20)
    check(found)
    assert len(found.beats_s) == pytest.approx(33, abs=1)


def test_no_number_is_no_evidence() -> None:
    activations = heard(even_sheet(100, 20, chords=("C:maj",)))
    for values in vars(activations).values():
        values[200:240] = np.nan
    found = decode(activations, 20)
    check(found)
    assert found.tempo_bpm == pytest.approx(100, rel=0.01)


def test_the_same_song_is_the_same_sheet() -> None:
    activations = heard(even_sheet(100, 20, chords=("C:maj", "F:maj")), NOISY)
    before = [values.copy() for values in vars(activations).values()]
    assert decode(activations, 20) == decode(activations, 20)
    for values, kept in zip(vars(activations).values(), before, strict=True):
        np.testing.assert_array_equal(values, kept)
