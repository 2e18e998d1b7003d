"""The whole denoiser: size, names, states, dtypes, gradients, initialisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from samuel_runtime.errors import UserError
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser, standardised
from samuel_train.model.unet import FiLM
from tests.support.weights import published_shapes, recipe_weight, relative_l2

BOTH = pytest.mark.parametrize("alignment", Alignment)


def small(alignment: Alignment = Alignment.DOCUMENTED) -> ModelConfig:
    return ModelConfig(latent_channels=8, base_channels=16, time_width=32, heads=2, alignment=alignment)


def lively(config: ModelConfig) -> Denoiser:
    """A denoiser whose every parameter matters, as after training."""
    model = Denoiser(config).eval()
    model.load_state_dict({k: recipe_weight(k, tuple(w.shape)) for k, w in model.state_dict().items()})
    return model


def inputs(frames: int = 64, batch: int = 2, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x, vocals = torch.randn(2, batch, 8, frames, generator=generator, dtype=torch.float64).to(dtype)
    return x, vocals, torch.tensor([700, 3, 400][:batch])


@BOTH
def test_names_shapes_and_size_are_the_published_ones(alignment: Alignment) -> None:
    with torch.device("meta"):
        model = Denoiser(ModelConfig(alignment=alignment))
    assert {name: tuple(w.shape) for name, w in model.state_dict().items()} == published_shapes()
    assert sum(p.numel() for p in model.parameters()) == 15_571_904


@BOTH
@torch.no_grad()
def test_state_dict_is_the_same_before_and_after_a_forward(alignment: Alignment) -> None:
    """The published code grew four tables when it ran, so its checkpoints did not load into a fresh model."""
    model = lively(small(alignment))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model(*inputs())
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    Denoiser(small(alignment)).load_state_dict(after, strict=True)


@torch.no_grad()
def test_loading_is_strict() -> None:
    model = Denoiser(small())
    weights = model.state_dict()
    with pytest.raises(RuntimeError, match="rope"):
        model.load_state_dict({**weights, "align.global_.rope.cosine": torch.zeros(1)})
    weights.pop("unet.ups.0.bias")
    with pytest.raises(RuntimeError, match=r"unet\.ups\.0\.bias"):
        model.load_state_dict(weights)


@torch.no_grad()
def test_the_two_variants_differ() -> None:
    """Same weights, another function: a checkpoint must say which one it is."""
    documented, published = (lively(small(alignment))(*inputs()) for alignment in Alignment)
    assert relative_l2(published, documented) > 0.05


@torch.no_grad()
def test_fresh_network_predicts_zero_and_its_film_is_nearly_the_identity() -> None:
    torch.manual_seed(0)
    model = Denoiser(ModelConfig())
    x, vocals = torch.randn(2, 2, 64, 32)
    assert not model(x, vocals, torch.tensor([0, 799])).any()
    films = [(name, module) for name, module in model.named_modules() if isinstance(module, FiLM)]
    assert len(films) == 8
    for name, film in films:
        h = torch.randn(2, film.context_proj.in_channels, 32)
        u = torch.randn(2, 512)
        assert relative_l2(film(h, torch.randn_like(h), u), h) < 0.05, name


@BOTH
def test_every_parameter_learns(alignment: Alignment) -> None:
    model = lively(small(alignment))
    model(*inputs()).square().mean().backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 1e-9]
    assert dead == []


@BOTH
@torch.no_grad()
def test_double_and_single_precision_agree(alignment: Alignment) -> None:
    model = lively(small(alignment))
    single = model(*inputs())
    double = model.double()(*inputs(dtype=torch.float64))
    assert single.dtype == torch.float32 and double.dtype == torch.float64
    assert relative_l2(single, double) < 5e-6


@torch.no_grad()
def test_autocast_and_half_precision_run_and_stay_near() -> None:
    model = lively(small())
    exact = model(*inputs())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative_l2(model(*inputs()).float(), exact) < 0.05
    half = model.bfloat16()(*inputs(dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert relative_l2(half.float(), exact) < 0.05


@torch.no_grad()
@BOTH
def test_no_tensor_is_made_on_a_fixed_device(alignment: Alignment) -> None:
    """On the meta device any tensor left on the CPU would be refused; needs no GPU."""
    x, vocals, t = (value.to("meta") for value in inputs())
    assert Denoiser(small(alignment)).to("meta")(x, vocals, t).device.type == "meta"


@torch.no_grad()
def test_items_of_a_batch_do_not_meet() -> None:
    model = lively(small()).double()
    x, vocals, t = inputs(batch=3, dtype=torch.float64)
    together = model(x, vocals, t)
    for i in range(3):
        alone = model(x[i : i + 1], vocals[i : i + 1], t[i : i + 1])
        assert relative_l2(together[i : i + 1], alone) < 1e-12


@torch.no_grad()
def test_vocals_and_timestep_reach_the_output() -> None:
    model = lively(small())
    x, vocals, t = inputs()
    base = model(x, vocals, t)
    assert relative_l2(model(x, torch.zeros_like(vocals), t), base) > 0.01
    assert relative_l2(model(x, vocals, t + 50), base) > 0.01


@torch.no_grad()
@pytest.mark.parametrize("frames", [8, 24, 256])
def test_any_multiple_of_8_frames_runs(frames: int) -> None:
    x, vocals, t = inputs(frames)
    output = lively(small())(x, vocals, t)
    assert output.shape == x.shape
    assert output.isfinite().all()


@torch.no_grad()
def test_convolutions_move_with_the_song() -> None:
    """Shift by one U-Net stride: away from the ends everything but global attention moves along."""
    model = lively(small()).double()
    for name, p in model.named_parameters():
        if "global_" in name:
            p.zero_()
    x, vocals = torch.zeros(2, 1, 8, 512, dtype=torch.float64)
    x[..., 200:264], vocals[..., 200:264] = inputs(batch=1, dtype=torch.float64)[:2]
    t = torch.tensor([400])
    base, moved = model(x, vocals, t), model(x.roll(8, -1), vocals.roll(8, -1), t)
    assert relative_l2(moved.roll(-8, -1)[..., 150:320], base[..., 150:320]) < 1e-9
    shifted_by_one = model(x.roll(1, -1), vocals.roll(1, -1), t).roll(-1, -1)
    assert relative_l2(shifted_by_one[..., 150:320], base[..., 150:320]) > 1e-3


@torch.no_grad()
def test_a_standardised_voice_is_heard_alike_through_any_gain_and_offset() -> None:
    vocals = torch.from_numpy(np.random.default_rng(0).normal(1.0, 2.0, (2, 64, 40)))
    mean, deviation = vocals.numpy().mean(-1, keepdims=True), vocals.numpy().std(-1, keepdims=True)
    np.testing.assert_allclose(standardised(vocals), (vocals.numpy() - mean) / (deviation + 0.1), rtol=1e-12)
    silence = torch.zeros_like(vocals)
    assert torch.equal(standardised(silence), silence)
    assert torch.equal(standardised(silence + 3), silence)  # a channel that stands still tells nothing

    paper, model = lively(small()), lively(replace(small(), standardised_voice=True))
    x, voice, t = inputs()
    assert torch.equal(model(x, voice, t), paper(x, standardised(voice), t))
    loud, elsewhere = 1e3 * voice, 2e3 * voice + 1e3 * torch.linspace(-1, 1, 8)[:, None]
    assert relative_l2(model(x, loud, t), model(x, elsewhere, t)) < 1e-3
    assert relative_l2(paper(x, loud, t), paper(x, elsewhere, t)) > 0.1


def test_frames_that_do_not_halve_three_times_are_refused() -> None:
    x, vocals, t = inputs(frames=60)
    with pytest.raises(ValueError, match="multiple of 8, not 60"):
        Denoiser(small())(x, vocals, t)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widht": 3}, "unknown key widht"),
        ({"alignment": "loose"}, "loose"),
        ({"heads": True}, "heads"),
        ({"base_channels": 10**9}, "between 1 and 65536"),
        ({"base_channels": 24}, "multiple of"),
        ({"window": 15}, "even"),
        ({"standardised_voice": 1}, "true or false"),
        ({"alignment": "published-code", "timesteps": 1001}, "at most 1000"),
        ([1], "table"),
    ],
)
def test_configs_that_make_no_model_are_refused_by_name(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ModelConfig.from_dict(values)


def test_config_survives_a_round_trip() -> None:
    config = ModelConfig(window=8, alignment=Alignment.PUBLISHED_CODE)
    assert ModelConfig.from_dict(config.to_dict()) == config
