"""The published code's way to compute is the same function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.measuring.pairs import relative_l2
from benchmarks.runners.published import (
    PublishedGlobalAttention,
    PublishedLocalAttention,
    ancestral_steps,
    guided,
    published,
)
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import sample
from samuel_runtime.diffusion.schedule import Schedule, x0_denoiser
from samuel_runtime.settings import Sampler
from samuel_train.model.config import Alignment, Prediction
from samuel_train.model.denoiser import Denoiser
from tests.support.miniature import CONFIG, miniature_model

_FRAMES, _TIMESTEPS = 64, 12


@pytest.mark.parametrize("alignment", Alignment)
def test_the_published_network_is_the_same_function(alignment: Alignment) -> None:
    model = miniature_model(alignment)
    changed = published(model)
    aligns = (changed.align, changed.unet.mid_attn.attn)
    assert all(isinstance(align.local, PublishedLocalAttention) for align in aligns)
    assert all(isinstance(align.global_, PublishedGlobalAttention) for align in aligns)
    for frames in (_FRAMES, 2 * _FRAMES):  # the kept tables of rotary embedding follow the length
        x, vocals = torch.randn(2, 1, 64, frames, generator=torch.Generator().manual_seed(0))
        t = torch.tensor([300])
        outputs = [guided(one, x, vocals, t, 3.0).numpy() for one in (model, changed)]
        assert relative_l2(*outputs) < 1e-5


@pytest.mark.parametrize("prediction", Prediction)
def test_the_published_loop_takes_the_runtimes_ancestral_steps(prediction: Prediction) -> None:
    model = Denoiser(replace(CONFIG, prediction=prediction, timesteps=_TIMESTEPS)).eval()
    model.load_state_dict(miniature_model().state_dict())  # a fresh network's output is zero
    schedule, clamp = Schedule.cosine(_TIMESTEPS), (-4.0, 4.0)
    vocals = torch.from_numpy(noise(1, 0, 0, _FRAMES, 64)[None])

    def draw(t: int) -> np.ndarray:
        return noise(0, t, 0, _FRAMES, 64)[None]

    def network(x: np.ndarray, t: int) -> np.ndarray:
        return guided(model, torch.from_numpy(x), vocals, torch.tensor([t]), 2.0).numpy()

    denoise = x0_denoiser(network, prediction, schedule, clamp)
    timesteps = list(reversed(range(_TIMESTEPS)))
    ours = sample(Sampler.ANCESTRAL, denoise, draw(_TIMESTEPS), schedule, timesteps, draw, clamp)
    theirs = ancestral_steps(model, vocals, 2.0, lambda t: torch.from_numpy(draw(t)), clamp)
    for here, there in zip(ours, theirs, strict=True):
        assert relative_l2(here, there.numpy()) < 1e-4
