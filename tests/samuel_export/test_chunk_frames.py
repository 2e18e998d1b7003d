"""Chunks are as long as memory allows."""

from __future__ import annotations

from pathlib import Path

from samuel_export.metadata import chunk_frames
from samuel_train.codec import load_codec
from tests.support.export.small_oobleck import save_small_oobleck
from tests.support.miniature import miniature_codec


def test_oobleck_has_shorter_chunks(tmp_path: Path) -> None:
    oobleck = load_codec(save_small_oobleck(tmp_path / "oobleck", latent_channels=4))
    assert chunk_frames(oobleck) < chunk_frames(miniature_codec(tmp_path / "small"))
