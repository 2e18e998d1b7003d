"""A simulated singer: the same twice, and heard where and as it sings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_train.listen.songs.simulated_voice import simulated_tracks
from samuel_train.synth.compose.phrasing import Performed
from samuel_train.synth.voice.singer import Performance, draw_singer

NOTES = tuple(Performed(1.0 + index, 1.9 + index, 60 + index, 1.0, True, True, False) for index in range(5))
SINGER = replace(draw_singer(np.random.default_rng(0), 0.0), performance=Performance.WORDS, tuning_cents=0.0)


def test_the_same_generator_gives_the_same_tracks() -> None:
    first, again, other = (simulated_tracks(np.random.default_rng(seed), NOTES, SINGER, 7.0) for seed in (1, 1, 2))
    for name in ("f0_hz", "confidence", "loudness_db", "onset"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_notes_are_voiced_at_their_pitch_and_louder_than_what_is_between() -> None:
    voiced, between, cents, louder = [], [], [], []
    for seed in range(12):
        found = simulated_tracks(np.random.default_rng(seed), NOTES, SINGER, 7.0)
        at_s = (np.arange(found.frames) + 0.5) * FRAME_S
        silent = at_s < 0.4
        for note in NOTES:
            inside = (at_s > note.onset_s + 0.2) & (at_s < note.end_s - 0.2)
            voiced.append(found.confidence[inside] >= 0.5)
            cents.append(100 * (69 + 12 * np.log2(found.f0_hz[inside] / 440) - note.midi))
            louder.append(np.median(found.loudness_db[inside]) - np.median(found.loudness_db[silent]))
        between.append(found.confidence[silent] >= 0.5)
    assert np.mean(np.concatenate(voiced)) > 0.9 and np.mean(np.concatenate(between)) < 0.15
    assert np.median(np.abs(np.concatenate(cents))) < 50
    assert min(louder) > 10


def test_syllables_begin_with_an_attack() -> None:
    rises = []
    for seed in range(12):
        found = simulated_tracks(np.random.default_rng(seed), NOTES, SINGER, 7.0)
        for note in NOTES:
            at = int(note.onset_s / FRAME_S)
            rises.append(found.onset[at - 14 : at + 5].max() - np.median(found.onset[at + 20 : at + 60]))
    assert np.median(rises) > 0.5
