"""What the bass of a generated song plays, from the recipe in its ``song.json``."""

from __future__ import annotations

import json
from pathlib import Path

from samuel_train.synth.compose.score import Hit
from samuel_train.synth.library import GENERATOR_VERSION
from samuel_train.synth.song import compose


def written_bass(song: Path) -> tuple[Hit, ...]:
    """The notes of the bass; none without one, or without a recipe that this version can follow without a score."""
    path = song / "song.json"
    try:
        recipe = json.loads(path.read_bytes())["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    if recipe.get("generator_version") != GENERATOR_VERSION or "score" in recipe:
        return ()
    tracks = compose(recipe["song_seed"], recipe["duration_s"], recipe["freest"]).tracks
    return next((track.hits for track in tracks if track.name == "bass"), ())
