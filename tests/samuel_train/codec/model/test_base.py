"""Context is measured on the right side, whatever the codec's shape."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from samuel_train.codec.model.base import Codec, SignalFacts, decoder_context_frames, encoder_context_frames

FACTS = SignalFacts(sample_rate_hz=8000, hop_samples=4, channels=1, latent_channels=1)


class Lopsided(nn.Module):
    """Sums of ``before`` earlier values, the present one and ``after`` later ones."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.pads = (before, after)
        self.sum = nn.Conv1d(1, 1, before + 1 + after)

    def forward(self, x: Tensor) -> Tensor:
        return self.sum(nn.functional.pad(x, self.pads))


class LopsidedCodec(Codec):
    """Frames of four samples: their means, and their repetition."""

    def __init__(self, encoder_reach: tuple[int, int], decoder_reach: tuple[int, int]) -> None:
        super().__init__(FACTS, "a test", "none")
        self.encoder = nn.Sequential(nn.AvgPool1d(4), Lopsided(*encoder_reach))
        self.decoder = nn.Sequential(Lopsided(*decoder_reach), nn.Upsample(scale_factor=4))


@pytest.mark.parametrize(("encoder_reach", "decoder_reach"), [((3, 1), (0, 2)), ((0, 0), (5, 0)), ((40, 2), (1, 70))])
def test_context_is_told_apart_by_side(encoder_reach: tuple[int, int], decoder_reach: tuple[int, int]) -> None:
    codec = LopsidedCodec(encoder_reach, decoder_reach)
    assert encoder_context_frames(codec) == encoder_reach
    assert decoder_context_frames(codec) == decoder_reach


def test_a_codec_that_looks_at_the_whole_song_is_refused() -> None:
    codec = LopsidedCodec((0, 0), (0, 0))
    codec.encoder.add_module("norm", nn.InstanceNorm1d(1))
    with pytest.raises(ValueError, match="looks further than"):
        encoder_context_frames(codec)


def test_context_is_measured_without_touching_gradients() -> None:
    codec = LopsidedCodec((1, 1), (1, 1))
    encoder_context_frames(codec)
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in codec.parameters())
