"""A codec in larger sizes does what it did, and other widths are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from samuel_runtime.errors import UserError
from samuel_train.codec.model.grown import grown
from samuel_train.codec.model.small import SmallCodec
from tests.support.train.tiny_codec import TINY

SMALLER = replace(TINY, encoder_long_width=0)


@torch.no_grad()
def test_what_is_added_begins_without_effect() -> None:
    torch.manual_seed(0)
    codec = SmallCodec(SMALLER, provenance="a test").eval()
    larger = grown(codec, replace(TINY, encoder_latent_blocks=2, decoder_blocks=3)).eval()
    audio = 0.1 * torch.randn(1, 2, 8 * 2048)
    latents = codec.encoder(audio)
    assert torch.equal(larger.encoder(audio), latents)
    before, after = codec.decoder(latents), larger.decoder(latents)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert larger.provenance == "a test"
    assert all(parameter.requires_grad for parameter in larger.parameters())


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (replace(SMALLER, encoder_width=8), "no other widths"),
        (replace(SMALLER, encoder_latent_blocks=0), "cannot lose"),
    ],
)
def test_other_sizes_are_refused(other: object, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        grown(SmallCodec(SMALLER), other)  # type: ignore[arg-type]
