"""From sound to tracks: pitch, loudness and attacks of a known melody."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from samuel_runtime.audio.samples import Audio
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.melody.attacks import SILENCE_DB
from samuel_runtime.melody.pitch import PitchTracker
from samuel_runtime.melody.tracker import MelodyTracker

RATE_HZ = 44_100
NOTES = (57, 61, 64)
"""A, C sharp and E, each for half a second after a tenth of silence."""


def melody() -> Audio:
    notes = []
    for midi in NOTES:
        time_s = np.arange(round(0.5 * RATE_HZ)) / RATE_HZ
        tone = sum(np.sin(2 * np.pi * k * 440 * 2 ** ((midi - 69) / 12) * time_s) / k for k in range(1, 6))
        notes += [np.zeros(RATE_HZ // 10), 0.2 * np.clip(time_s / 0.01, 0, 1) * tone]
    return Audio(np.concatenate(notes).astype(np.float32), RATE_HZ)


@pytest.fixture(scope="module")
def tracker() -> MelodyTracker:
    pytest.importorskip("swift_f0")
    return MelodyTracker.load(1)


def test_a_melody_is_found(tracker: MelodyTracker) -> None:
    found = tracker.track(melody())
    assert found.frames == int(np.ceil(1.8 / FRAME_S))
    for index, midi in enumerate(NOTES):
        inside = slice(int((0.6 * index + 0.2) / FRAME_S), int((0.6 * index + 0.5) / FRAME_S))
        assert (found.confidence[inside] > 0.5).all()
        assert np.abs(1200 * np.log2(found.f0_hz[inside] / (440 * 2 ** ((midi - 69) / 12)))).max() < 50  # cents
    beginnings = [int(found.onset[int(at / FRAME_S) : int((at + 0.3) / FRAME_S)].argmax()) for at in (0.6, 1.2)]
    assert all(abs(frame * FRAME_S - 0.1) < 0.03 for frame in beginnings)
    assert found.loudness_db.max() > -20 > -60 > found.loudness_db[: int(0.05 / FRAME_S)].max()


def test_of_silence_nothing_is_voiced_and_nothing_begins(tracker: MelodyTracker) -> None:
    found = tracker.track(Audio(np.zeros(RATE_HZ, np.float32), RATE_HZ))
    assert not found.confidence.any() and not found.onset.any() and (found.loudness_db == SILENCE_DB).all()


def test_a_recording_that_is_turned_down_begins_as_loudly(tracker: MelodyTracker) -> None:
    loud = melody()
    quiet = Audio(loud.samples / 16, RATE_HZ)
    np.testing.assert_allclose(tracker.track(quiet).onset, tracker.track(loud).onset, atol=1e-3)


def test_without_the_tracker_the_message_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "swift_f0", None)
    with pytest.raises(UserError, match=r"pip install --no-deps swift-f0"):
        PitchTracker.load()
