"""The vocal context: silence gives nothing, a voice reaches as far as the dilations, and annotations teach it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from samuel_runtime.errors import UserError
from samuel_train.data.annotations import CHANNELS as MUSIC_CHANNELS
from samuel_train.fit.loop import fit
from samuel_train.fit.run_folder import STATE_FILE, load_run_settings
from samuel_train.fit.settings import FitConfig
from samuel_train.fit.state import load_state, save_state
from samuel_train.model.checkpoint import load_checkpoint
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.vocal_context import DILATIONS, VocalContextEncoder
from tests.samuel_train.model.test_denoiser import inputs, lively, small
from tests.support.train.toy import MODEL, settings, write_latents

pytestmark = pytest.mark.usefixtures("without_pictures", "short_sampling")


@pytest.fixture
def short_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validations sample with few steps: what is sampled is not the matter here."""
    monkeypatch.setattr("samuel_train.fit.validation._SAMPLING_STEPS", 2)


def with_context() -> ModelConfig:
    return ModelConfig(**{**small().to_dict(), "vocal_context_width": 6})


@torch.no_grad()
def test_silence_gives_no_context() -> None:
    """So the null branch of guidance is the paper's network, whatever the encoder learnt."""
    model = lively(with_context())
    plain = Denoiser(small()).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("vocal_context.")})
    x, vocals, t = inputs()
    silence = torch.zeros_like(vocals)
    assert torch.equal(model(x, silence, t), plain(x, silence, t))
    assert not torch.allclose(model(x, vocals, t), plain(x, vocals, t), rtol=0.1)


@torch.no_grad()
def test_the_reach_is_that_of_the_dilations() -> None:
    torch.manual_seed(0)
    encoder = VocalContextEncoder(4, 8, 4).double()
    reach = sum(DILATIONS)
    vocals = torch.randn(1, 4, 2 * reach + 41, dtype=torch.double)
    other = vocals.clone()
    other[..., 20] += 1
    changed = (encoder(other) != encoder(vocals)).any(dim=1)[0].nonzero().flatten()
    assert (changed[0], changed[-1]) == (0, 20 + reach)


def test_a_width_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="vocal_context_width"):
        ModelConfig(vocal_context_width=-1)


def taught(folder: Path) -> Path:
    """Latents whose music is in the voice: the beat where the first channel is high, and so on."""
    write_latents(folder)
    vocals = (np.load(folder / "latent_vocal.npy") - 3) / 2
    np.save(folder / "latent_music.npy", (vocals[:, :MUSIC_CHANNELS] > 1).astype(np.float16))
    return folder


def run_of(latents: Path, out: Path, **fit_values: Any) -> list[dict[str, Any]]:
    """The lines of a run with a vocal context encoder."""
    config = FitConfig.from_dict(
        {"model": {**MODEL, "vocal_context_width": 64}, "fit": settings(**fit_values).to_dict()["fit"]}
    )
    fit(latents, out, config, device="cpu")
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def auxiliary_losses(lines: list[dict[str, Any]]) -> list[float]:
    return [line["auxiliary_loss"] for line in lines if "auxiliary_loss" in line]


def test_the_auxiliary_loss_is_trained_first_and_alone_and_validated_on_songs_held_out(tmp_path: Path) -> None:
    latents = taught(tmp_path / "latents")
    lines = run_of(
        latents, tmp_path / "run", max_steps=60, auxiliary_steps=56, auxiliary_learning_rate=4e-3,
        validate_every_steps=56,
    )  # fmt: skip
    context = auxiliary_losses(lines)
    assert context[-1] < 0.7 * context[0]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[:56] == [0.0] * 56 and all(loss > 0 for loss in losses[56:])
    assert [line["step"] for line in lines if "validation" in line] == [56, 60]
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert checkpoint.config.vocal_context_width == 64
    untaught = run_of(latents, tmp_path / "other", max_steps=1, auxiliary_weight=0)
    after, before = (
        [line["validation"]["auxiliary_loss"] for line in run if "validation" in line][-1] for run in (lines, untaught)
    )
    assert after < 0.8 * before


def test_a_resumed_run_goes_on_with_the_auxiliary_loss(tmp_path: Path) -> None:
    latents = taught(tmp_path / "latents")
    auxiliary = {"auxiliary_steps": 6, "vocal_context_dropout": 0.3, "validate_every_steps": 8}
    whole = run_of(latents, tmp_path / "whole", max_steps=8, **auxiliary)
    run_of(latents, tmp_path / "halves", max_steps=4, **auxiliary)
    config = load_run_settings(tmp_path / "halves")
    fit(latents, tmp_path / "halves", replace(config, max_steps=8), device="cpu", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "halves" / "metrics.jsonl").read_text().splitlines()]
    assert auxiliary_losses(lines) == auxiliary_losses(whole)


def test_channels_are_left_out_in_training_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder, vocals = VocalContextEncoder(64, 32, 16), torch.randn(2, 64, 40)
    whole = encoder(vocals)
    encoder.dropout = 0.3
    assert not torch.equal(encoder.train()(vocals), whole)
    assert torch.equal(encoder.eval()(vocals), whole)
    plain, thinned = (
        run_of(
            taught(tmp_path / name),
            tmp_path / f"run {name}",
            max_steps=2,
            auxiliary_steps=2,
            vocal_context_dropout=share,
        )
        for name, share in (("plain", 0.0), ("thinned", 0.3))
    )
    assert auxiliary_losses(plain) != auxiliary_losses(thinned)


def test_examples_without_a_voice_have_no_auxiliary_loss(tmp_path: Path) -> None:
    lines = run_of(taught(tmp_path / "latents"), tmp_path / "run", max_steps=2, condition_dropout=1.0)
    assert set(auxiliary_losses(lines)) == {0.0}


def test_an_auxiliary_loss_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="auxiliary_steps needs"):
        run_of(write_latents(tmp_path / "latents"), tmp_path / "run", auxiliary_steps=2)


def test_music_that_does_not_fit_the_latents_is_refused(tmp_path: Path) -> None:
    latents = taught(tmp_path / "latents")
    np.save(latents / "latent_music.npy", np.zeros((3, MUSIC_CHANNELS, 1024), np.float16))
    with pytest.raises(UserError, match="does not fit the latents"):
        run_of(latents, tmp_path / "run")


def test_checkpoints_runs_and_configs_of_earlier_versions_keep_loading(tmp_path: Path) -> None:
    """They said listener_width, listening_steps and guess_weight, and called the weights listener.*"""
    latents = taught(tmp_path / "latents")
    run_of(latents, tmp_path / "run", max_steps=2, auxiliary_steps=1)
    run = tmp_path / "run"
    path = run / "checkpoint.safetensors"
    current = load_checkpoint(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    former = {"vocal_context.auxiliary.": "listener.guess.", "vocal_context.": "listener."}

    def renamed(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for now, then in former.items():
            weights = {name.replace(now, then): weight for name, weight in weights.items()}
        return weights

    metadata["config"] = metadata["config"].replace("vocal_context", "listener")
    save_file(renamed(current.weights), path, metadata)
    earlier = load_checkpoint(path)
    assert earlier.config == current.config
    assert earlier.weights.keys() == current.weights.keys()

    state = load_state(run / STATE_FILE)
    state.model, state.ema = renamed(state.model), renamed(state.ema)
    save_state(run / STATE_FILE, state)
    settings_file = run / "settings.json"
    text = settings_file.read_text().replace("vocal_context", "listener").replace("auxiliary_weight", "guess_weight")
    settings_file.write_text(text.replace("auxiliary", "listening"))
    config = load_run_settings(run)
    assert (config.auxiliary_steps, config.model.vocal_context_width) == (1, 64)
    assert fit(latents, run, replace(config, max_steps=3), device="cpu", resume=True).steps == 3
