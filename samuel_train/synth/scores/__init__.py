"""Scores of real songs: read, and made songs of, with the project's singers and bands."""
