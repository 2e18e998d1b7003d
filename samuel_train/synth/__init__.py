"""Procedural songs: a singing voice and its band, composed and rendered from a seed."""

from samuel_train.synth.library import synthesize
from samuel_train.synth.song import DURATION_S, Song, SongFacts, render_song

__all__ = ["DURATION_S", "Song", "SongFacts", "render_song", "synthesize"]
