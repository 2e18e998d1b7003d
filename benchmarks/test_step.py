"""One guided denoising step of 47.5 s: PyTorch eager, two calls as the published sampler makes, and the runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from samuel_runtime.denoiser import Denoiser as RuntimeDenoiser
from samuel_train.model import Denoiser

FRAMES, TIMESTEP, GUIDANCE = 1024, 400, 3.0

Step = Callable[[], np.ndarray]


@pytest.fixture(scope="module")
def sides(model: Denoiser, exported: RuntimeDenoiser) -> dict[str, Step]:
    """Both ways to compute the same step, proven to agree."""
    generator = np.random.default_rng(0)
    x, vocals = generator.standard_normal((2, 1, 64, FRAMES)).astype(np.float32)
    step = exported.conditioned(vocals)
    noisy, voice, t = torch.from_numpy(x), torch.from_numpy(vocals), torch.tensor([TIMESTEP])

    @torch.no_grad()
    def eager() -> np.ndarray:
        conditional, null = model(noisy, voice, t), model(noisy, torch.zeros_like(voice), t)
        return (null + GUIDANCE * (conditional - null)).numpy()

    def runtime() -> np.ndarray:
        return step(x, [TIMESTEP], GUIDANCE)

    error = np.linalg.norm(runtime() - eager()) / np.linalg.norm(eager())
    assert error <= 1e-4, f"the sides differ: relative L2 {error:.1e}"
    return {"PyTorch eager": eager, "runtime": runtime}


@pytest.mark.parametrize("side", ["PyTorch eager", "runtime"])
def test_guided_step(benchmark: Callable[[Step], np.ndarray], sides: dict[str, Step], side: str) -> None:
    """Compare the two rows."""
    assert np.isfinite(benchmark(sides[side])).all()
