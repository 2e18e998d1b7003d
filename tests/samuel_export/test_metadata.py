"""What a manifest says of a codec: how it is cut, and whether its arithmetic may be lowered."""

from __future__ import annotations

from pathlib import Path

from samuel_export.metadata import facts_of
from samuel_runtime.bundle.manifest import CodecFacts
from samuel_runtime.diffusion.guidance import Guidance
from samuel_train.codec import Codec, load_codec
from tests.support.export.small_oobleck import save_small_oobleck
from tests.support.miniature import miniature_checkpoint, miniature_codec


def told(codec: Codec, folder: Path) -> CodecFacts:
    return facts_of(miniature_checkpoint(folder / "checkpoint.safetensors", folder), codec, Guidance(2.0))[1]


def test_only_an_oobleck_bears_low_precision_and_takes_shorter_chunks(tmp_path: Path) -> None:
    ours = told(miniature_codec(tmp_path / "ours"), tmp_path)
    oobleck = told(load_codec(save_small_oobleck(tmp_path / "oobleck", latent_channels=4)), tmp_path)
    assert (ours.lowerable, oobleck.lowerable) == (False, True)
    assert 0 < oobleck.chunk_frames < ours.chunk_frames
