"""The listener: silence is heard as nothing, a voice as far as its reach goes, and it learns from what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samuel_runtime.errors import UserError
from samuel_train.data.annotations import CHANNELS as MUSIC_CHANNELS
from samuel_train.fit.loop import fit
from samuel_train.fit.run_folder import load_run_settings
from samuel_train.fit.settings import FitConfig
from samuel_train.model.checkpoint import load_checkpoint
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.vocal_context import DILATIONS, VocalContextEncoder
from tests.samuel_train.model.test_denoiser import inputs, lively, small
from tests.support.train.toy import MODEL, settings, write_latents


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
    listener = VocalContextEncoder(4, 8, 4).double()
    reach = sum(DILATIONS)
    vocals = torch.randn(1, 4, 2 * reach + 41, dtype=torch.double)
    other = vocals.clone()
    other[..., 20] += 1
    changed = (listener(other) != listener(vocals)).any(dim=1)[0].nonzero().flatten()
    assert (changed[0], changed[-1]) == (0, 20 + reach)


def test_a_width_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="listener_width"):
        ModelConfig(listener_width=-1)


def taught(folder: Path) -> Path:
    """Latents whose music is in the voice: the beat where the first channel is high, and so on."""
    write_latents(folder)
    vocals = (np.load(folder / "latent_vocal.npy") - 3) / 2
    np.save(folder / "latent_music.npy", (vocals[:, :MUSIC_CHANNELS] > 1).astype(np.float16))
    return folder


def run_of(latents: Path, out: Path, **fit_values: Any) -> list[dict[str, Any]]:
    """The lines of a run with a listener."""
    config = FitConfig.from_dict(
        {"model": {**MODEL, "listener_width": 64}, "fit": settings(**fit_values).to_dict()["fit"]}
    )
    fit(latents, out, config, device="cpu")
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_guess_is_learnt_first_and_alone(tmp_path: Path) -> None:
    lines = run_of(taught(tmp_path / "latents"), tmp_path / "run", max_steps=84, listening_steps=80)
    guesses = [line["guess"] for line in lines if "guess" in line]
    assert guesses[-1] < 0.7 * guesses[0]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[:80] == [0.0] * 80 and all(loss > 0 for loss in losses[80:])
    assert [line["step"] for line in lines if "validation" in line] == [80, 84]
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert checkpoint.config.listener_width == 64


def test_a_resumed_run_goes_on_listening(tmp_path: Path) -> None:
    latents = taught(tmp_path / "latents")
    listening = {"listening_steps": 6, "listener_dropout": 0.3}
    whole = run_of(latents, tmp_path / "whole", max_steps=8, **listening)
    run_of(latents, tmp_path / "halves", max_steps=4, **listening)
    config = load_run_settings(tmp_path / "halves")
    fit(latents, tmp_path / "halves", replace(config, max_steps=8), device="cpu", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "halves" / "metrics.jsonl").read_text().splitlines()]
    assert [line["guess"] for line in lines if "guess" in line] == [line["guess"] for line in whole if "guess" in line]


def test_channels_are_left_out_in_training_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    listener, vocals = VocalContextEncoder(64, 32, 16), torch.randn(2, 64, 40)
    whole = listener(vocals)
    listener.dropout = 0.3
    assert not torch.equal(listener.train()(vocals), whole)
    assert torch.equal(listener.eval()(vocals), whole)
    plain, thinned = (
        run_of(
            taught(tmp_path / name), tmp_path / f"run {name}", max_steps=2, listening_steps=2, listener_dropout=share
        )
        for name, share in (("plain", 0.0), ("thinned", 0.3))
    )
    assert [line["guess"] for line in plain if "guess" in line] != [
        line["guess"] for line in thinned if "guess" in line
    ]


def test_the_guess_is_validated_on_songs_held_out(tmp_path: Path) -> None:
    lines = run_of(taught(tmp_path / "latents"), tmp_path / "run", max_steps=84, listening_steps=80)
    untaught = run_of(taught(tmp_path / "latents"), tmp_path / "other", max_steps=1, guess_weight=0)
    after, before = (
        [line["validation"]["guess"] for line in run if "validation" in line][-1] for run in (lines, untaught)
    )
    assert after < 0.8 * before


def test_examples_without_a_voice_teach_no_guess(tmp_path: Path) -> None:
    lines = run_of(taught(tmp_path / "latents"), tmp_path / "run", max_steps=2, condition_dropout=1.0)
    assert {line["guess"] for line in lines if "guess" in line} == {0.0}


def test_listening_without_written_music_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="listening_steps needs"):
        run_of(write_latents(tmp_path / "latents"), tmp_path / "run", listening_steps=2)


def test_music_that_does_not_fit_the_latents_is_refused(tmp_path: Path) -> None:
    latents = taught(tmp_path / "latents")
    np.save(latents / "latent_music.npy", np.zeros((3, MUSIC_CHANNELS, 1024), np.float16))
    with pytest.raises(UserError, match="does not fit the latents"):
        run_of(latents, tmp_path / "run")
