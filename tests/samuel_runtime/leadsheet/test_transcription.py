"""A voice written down: tracker, estimator and decoder one after the other, and what is given before them."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from samuel_runtime import Audio, LeadSheet, Samuel, Settings
from samuel_runtime.leadsheet import transcription
from samuel_runtime.leadsheet.activations import Activations
from samuel_runtime.leadsheet.chord_estimator import ChordEstimator
from samuel_runtime.leadsheet.decoder.grid import BeatGrid
from samuel_runtime.leadsheet.estimator import Estimator
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import ChordSpan
from samuel_runtime.leadsheet.transcription import Transcriber
from samuel_runtime.melody.tracker import MelodyTracker
from tests.support.heard import CLEAN, even_sheet, heard

DURATION_S = 20.0
SUNG = even_sheet(96.0, DURATION_S, chords=("A:min", "F:maj", "C:maj", "G:maj"), key="A minor")
VOICE = Audio(np.zeros(int(DURATION_S * 8000), np.float32), 8000)


class Stub:
    """An estimator that has been asked so many times."""

    def __init__(self) -> None:
        self.asked = 0

    def estimate(self, tracks: object) -> Activations:
        self.asked += 1
        return heard(SUNG, CLEAN)


class Silent:
    """A tracker whose tracks nobody looks at."""

    def track(self, recording: object) -> None:
        return None


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    monkeypatch.setattr(MelodyTracker, "load", classmethod(lambda cls, threads=None: Silent()))
    return Stub()


class OnBeats:
    """A chord estimator that hears D minor throughout, and remembers the beats."""

    grid: BeatGrid | None = None

    def estimate(self, tracks: object, grid: BeatGrid, activations: Activations) -> Activations:
        self.grid = grid
        throughout = heard(replace(SUNG, chords=(ChordSpan(0.0, "D:min"),), key="D minor"), CLEAN)
        return replace(activations, tones=throughout.tones, root=throughout.root, key=throughout.key)


def transcribed(stub: Stub, given: Given, on_beats: OnBeats | None = None) -> LeadSheet:
    return Transcriber(cast(Estimator, stub), cast("ChordEstimator | None", on_beats)).transcribe(VOICE, given)


def test_what_is_heard_becomes_a_sheet(stub: Stub) -> None:
    sheet = transcribed(stub, Given())
    assert sheet.duration_s == DURATION_S
    np.testing.assert_allclose(sheet.beats_s, SUNG.beats_s, atol=0.02)
    assert {sheet.chord_at(time_s + 0.1) for time_s in SUNG.downbeats_s[:4]} == {"A:min", "F:maj", "C:maj", "G:maj"}


def test_chords_are_heard_on_the_beats_that_are_found(stub: Stub) -> None:
    on_beats = OnBeats()
    sheet = transcribed(stub, Given(), on_beats)
    assert on_beats.grid is not None
    np.testing.assert_array_equal(on_beats.grid.beats_s, sheet.beats_s)
    assert {chord.name for chord in sheet.chords} == {"D:min"} and sheet.key == "D minor"
    given = transcribed(stub, Given(bpm=120.0, first_beat_s=0.0), on_beats)
    np.testing.assert_array_equal(on_beats.grid.beats_s, given.beats_s)
    assert transcribed(stub, Given(chords=(("C:maj", 0),)), on_beats).chords[0].name == "C:maj"


def test_a_whole_sheet_is_played_as_it_is(stub: Stub) -> None:
    assert transcribed(stub, Given(sheet=SUNG)) == SUNG
    assert stub.asked == 0


def test_what_a_sheet_lacks_is_heard(stub: Stub) -> None:
    chords = (ChordSpan(0.0, "D:min"), ChordSpan(5.3, "A:7"))
    sheet = transcribed(stub, Given(sheet=LeadSheet(DURATION_S, chords=chords)))
    assert stub.asked == 1
    assert sheet.chords == chords
    np.testing.assert_allclose(np.median(np.diff(sheet.beats_s)), 60 / 96, atol=0.02)


def test_samuel_plays_from_what_is_heard(stub: Stub, sheeted: Path) -> None:
    with Samuel.load(sheeted, threads=1) as deaf:
        assert not deaf.listen(VOICE).beats_s
        listening = Samuel(deaf.manifest, deaf.codec, deaf.denoiser, Transcriber(cast(Estimator, stub)))
        sheet = listening.listen(VOICE)
        assert len(sheet.beats_s) == len(SUNG.beats_s)
        band = listening.accompany(VOICE, Settings(steps=1))
        again = deaf.accompany(VOICE, Settings(steps=1, lead_sheet=sheet))
    np.testing.assert_array_equal(band.samples, again.samples)


def test_without_the_pitch_tracker_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcription, "find_spec", lambda name: None)
    missing = Transcriber.missing()
    assert missing is not None and "pip install swift-f0" in missing
    monkeypatch.setattr(transcription, "find_spec", find_spec)
    assert (Transcriber.missing() is None) is (find_spec("swift_f0") is not None)
