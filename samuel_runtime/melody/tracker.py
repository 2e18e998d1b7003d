"""From a recording to its tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_runtime.audio.reading import Recording
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.melody.attacks import SILENCE_DB, loudness_and_onsets
from samuel_runtime.melody.pitch import UNVOICED_HZ, PitchTracker
from samuel_runtime.melody.tracks import MelodyTracks

TRACKER_VERSION = 1
"""Raised whenever the same sound gives other tracks, which were kept under the old number."""
_AUDIBLE_DB = -80.0  # below which nothing is voiced, whatever the pitch tracker makes of the noise


@dataclass(frozen=True)
class MelodyTracker:
    """Analyses recordings one after the other."""

    pitch: PitchTracker

    @classmethod
    def load(cls, threads: int | None = None) -> MelodyTracker:
        """Load the pitch tracker.

        Raises:
            UserError: as :meth:`PitchTracker.load`.
        """
        return cls(PitchTracker.load(threads))

    def track(self, recording: Recording) -> MelodyTracks:
        """The tracks of a voice, from its start to its end; of silence nothing is voiced and nothing begins."""
        duration_s = recording.samples_count / recording.sample_rate_hz
        frames = max(1, int(np.ceil(duration_s / FRAME_S)))
        loudness_db, onset = loudness_and_onsets(recording, frames)
        if (loudness_db <= SILENCE_DB).all():
            nothing = np.zeros(frames, np.float32)
            return MelodyTracks(nothing + UNVOICED_HZ, nothing, loudness_db, nothing)
        f0_hz, confidence = self.pitch.track(recording, frames)
        return MelodyTracks(f0_hz, np.where(loudness_db > _AUDIBLE_DB, confidence, 0), loudness_db, onset)
