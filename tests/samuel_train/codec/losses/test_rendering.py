"""The synthesis that losses see is the runtime's, and its gradient reaches what it should."""

from __future__ import annotations

import numpy as np
import torch

from samuel_runtime.codec import SpectralSynthesis, Spectrum
from samuel_runtime.codec.synthesis import start_cycles
from samuel_train.codec.losses.prediction import low_loss, prediction_losses
from samuel_train.codec.losses.rendering import rendered
from samuel_train.codec.losses.spectral import left_right
from samuel_train.codec.losses.targets import targets_of
from tests.support.runtime.spectra import anything


class AsTheRuntime:
    """Starts every song where the runtime does."""

    def uniform(self, size: int) -> np.ndarray:
        return np.resize(start_cycles(), size)

    def integers(self, high: int, size: int) -> np.ndarray:
        return np.zeros(size, np.int64)


def prediction(songs: list[Spectrum]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.stack([getattr(s, name) for s in songs])) for name in vars(songs[0])}


def test_equals_the_runtimes_synthesis() -> None:
    songs = [anything(64, seed) for seed in (1, 2)]
    found = left_right(rendered(prediction(songs), AsTheRuntime()))  # type: ignore[arg-type]
    expected = np.stack([SpectralSynthesis()(song, last=True).T for song in songs])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_the_gradient_reaches_levels_pans_and_envelope_and_not_phases() -> None:
    leaves = {name: value.requires_grad_() for name, value in prediction([anything(32)]).items()}
    rendered(leaves, np.random.default_rng(0)).square().sum().backward()
    reached = {name for name, value in leaves.items() if value.grad is not None and value.grad.any()}
    assert reached == {"partial_levels", "partial_pans", "mid_levels", "side_levels", "envelope"}


def test_a_louder_level_is_louder_by_the_gradient() -> None:
    leaves = prediction([anything(32)])
    leaves["mid_levels"].requires_grad_()
    before = rendered(leaves, np.random.default_rng(0)).square().sum()
    (slope,) = torch.autograd.grad(before, leaves["mid_levels"])
    moved = {**leaves, "mid_levels": leaves["mid_levels"].detach() + 1e-3}
    after = rendered(moved, np.random.default_rng(0)).square().sum()
    assert torch.isclose(after - before, 1e-3 * slope.sum(), rtol=0.05)


def test_what_is_right_costs_less_than_what_is_off() -> None:
    audio = 0.1 * torch.randn(1, 2, 128 * 512, generator=torch.Generator().manual_seed(0))
    time = torch.arange(128 * 512) / 44_100
    audio = audio * 0.01 + 0.2 * torch.sin(2 * np.pi * 82.41 * time) + 0.1 * torch.sin(2 * np.pi * 1003 * time)
    targets = targets_of(audio)
    right = {
        "partial_levels": (targets.partial_amplitudes + 1e-6).log(), "partial_deviations": targets.partial_deviations,
        "partial_pans": torch.zeros(1, 128, 56), "mid_levels": targets.mid_levels, "side_levels": targets.side_levels,
        "coherences": targets.coherences, "bin_deviations": targets.bin_deviations,
        "bin_spreads": torch.full((1, 128, 224), -3.0), "envelope": torch.zeros(1, 128, 4),
    }  # fmt: skip
    costs = prediction_losses(right, targets)
    assert costs["partials"] < 1e-3 and costs["levels"] == 0 and costs["deviations"] == 0
    wrong = {
        "partial_levels": {"partials", "notes"}, "partial_deviations": {"deviations"}, "mid_levels": {"levels"},
        "bin_deviations": {"bin_deviations"}, "coherences": {"coherences"},
    }  # fmt: skip
    for name, terms in wrong.items():
        shifted = {**right, name: right[name].roll(1, dims=-1) + (0.3 if name != "partial_levels" else 0.0)}
        higher = {term for term, cost in prediction_losses(shifted, targets).items() if cost > costs[term] + 1e-4}
        assert higher == terms, name
    mid = rendered(right, np.random.default_rng(0))[:, 0]
    assert low_loss(mid, targets) < 0.5 * low_loss(0.3 * mid, targets)
