"""Procedural songs: a singing voice and its band, composed and rendered from a seed."""
