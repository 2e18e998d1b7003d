"""From a voice to what was sung: pitch, loudness and attacks, and the features in which the lead sheet is heard."""

from samuel_runtime.melody.features import MELODY_CHANNELS, melody_features
from samuel_runtime.melody.tracks import MelodyTracks

__all__ = ["MELODY_CHANNELS", "MelodyTracks", "melody_features"]
