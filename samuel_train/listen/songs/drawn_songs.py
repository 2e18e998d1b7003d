"""Songs by number, drawn from what there is to train on: melodies of scores, procedural ones, and voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.melody import MelodyTracks
from samuel_train.listen.songs.simulated_voice import simulated_tracks
from samuel_train.listen.songs.sung_score import sung_score
from samuel_train.listen.songs.sung_sheet import SungSheet, drawn_stretch, drawn_warp, procedural_sheet
from samuel_train.listen.songs.voices import HeardVoice, warped_voice
from samuel_train.synth.scores.musicxml import Score

FRAMES = 4096
"""Of a song, 47.6 s."""
_VOICES, _SCORES = 0.25, 0.4
"""Shares of voices, and of scores among what is not a voice, where there are any."""
HELD_OUT_SEED = 1 << 40
"""Added to a seed: songs that no step trains on."""


class DrawnSongs:
    """Each is a pure function of the seed, its number, and the songs that were given."""

    def __init__(
        self,
        seed: int,
        voices: Sequence[HeardVoice] = (),
        collections: Sequence[Sequence[Score]] = (),
    ) -> None:
        self.seed, self._voices, self._collections = seed, voices, collections
        self._score_share = _SCORES if collections else 0.0

    def __getitem__(self, number: int) -> tuple[MelodyTracks, LeadSheet]:
        rng = np.random.default_rng([self.seed, number])
        if self._voices and rng.random() < _VOICES:
            voice = self._voices[int(rng.integers(len(self._voices)))]
            return warped_voice(voice, drawn_warp(rng, drawn_stretch(rng)))
        return self._simulated(rng)

    def _simulated(self, rng: np.random.Generator) -> tuple[MelodyTracks, LeadSheet]:
        song: SungSheet | None = None
        while song is None:
            if rng.random() < self._score_share:
                # One as often as another, however many scores it holds.
                scores = self._collections[int(rng.integers(len(self._collections)))]
                song = sung_score(rng, scores[int(rng.integers(len(scores)))], FRAMES * FRAME_S)
            else:
                song = procedural_sheet(rng, FRAMES * FRAME_S)
        return simulated_tracks(rng, song.notes, song.singer, song.sheet.duration_s), song.sheet
