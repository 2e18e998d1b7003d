"""The listener: silence is heard as nothing, a voice as far as its reach goes, and it learns from its own guess."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from samuel_runtime.errors import UserError
from samuel_train.config import ModelConfig
from samuel_train.fit import fit
from samuel_train.listener import DILATIONS, Listener
from samuel_train.model import Denoiser
from tests.samuel_train.test_model import inputs, lively, small
from tests.samuel_train.toy import MODEL, settings, write_latents


def listening() -> ModelConfig:
    return ModelConfig(**{**small().to_dict(), "listener_width": 6})


@torch.no_grad()
def test_silence_is_heard_as_nothing() -> None:
    """So the null branch of guidance is the paper's network, whatever the listener learnt."""
    model = lively(listening())
    plain = Denoiser(small()).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("listener.")})
    x, vocals, t = inputs()
    silence = torch.zeros_like(vocals)
    assert torch.equal(model(x, silence, t), plain(x, silence, t))
    assert not torch.allclose(model(x, vocals, t), plain(x, vocals, t), rtol=0.1)


@torch.no_grad()
def test_the_reach_is_that_of_the_dilations() -> None:
    torch.manual_seed(0)
    listener = Listener(4, 8, 4).double()
    reach = sum(DILATIONS)
    vocals = torch.randn(1, 4, 2 * reach + 41, dtype=torch.double)
    other = vocals.clone()
    other[..., 20] += 1
    changed = (listener(other) != listener(vocals)).any(dim=1)[0].nonzero().flatten()
    assert (changed[0], changed[-1]) == (0, 20 + reach)


def test_a_width_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="listener_width"):
        ModelConfig(listener_width=-1)


def test_the_guess_is_learnt_and_the_checkpoint_keeps_the_listener(tmp_path: Path) -> None:
    latents = write_latents(tmp_path / "latents")
    values = settings(max_steps=60, guess_weight=5.0, learning_rate=5e-3, ema_decay=0.5).to_dict()
    config = type(settings()).from_dict({"model": {**MODEL, "listener_width": 64}, "fit": values["fit"]})
    fitted = fit(latents, tmp_path / "run", config, device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    guesses = [line["guess"] for line in lines if "guess" in line]
    # The toy's band is four fifths of its voice, so three fifths of it, 0.36 in power, cannot be guessed.
    assert guesses[0] > 0.9
    assert guesses[-1] < 0.75
    from samuel_train.checkpoint import load_checkpoint

    assert load_checkpoint(fitted.checkpoint).config.listener_width == 64


def test_examples_without_a_voice_teach_no_guess(tmp_path: Path) -> None:
    latents = write_latents(tmp_path / "latents")
    values = settings(max_steps=2, condition_dropout=1.0).to_dict()
    config = type(settings()).from_dict({"model": {**MODEL, "listener_width": 16}, "fit": values["fit"]})
    fit(latents, tmp_path / "run", config, device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {line["guess"] for line in lines if "guess" in line} == {0.0}
