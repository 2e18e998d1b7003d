"""The objective against its formulas, written out again in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from samuel_runtime.diffusion.schedule import Prediction, Schedule, x0_from_output
from samuel_train.fit.objective import Objective

_SCHEDULE = Schedule.cosine()


def _draw(seed: int = 0, batch: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    x0, vocals, eps = (torch.randn(batch, 64, 16, generator=rng) for _ in range(3))
    return x0, vocals, torch.linspace(0, 799, batch).long(), eps


class _Spy:
    """A denoiser that answers with a fixed output and remembers what it saw."""

    def __init__(self, output: Tensor) -> None:
        self.output = output

    def __call__(self, x: Tensor, vocals: Tensor, t: Tensor, sheet: Tensor | None = None) -> Tensor:
        self.x, self.vocals, self.t, self.sheet = x, vocals, t, sheet
        return self.output


@pytest.mark.parametrize("prediction", list(Prediction))
def test_the_target_inverts_to_the_clean_latents(prediction: Prediction) -> None:
    x0, vocals, t, eps = _draw()
    objective = Objective(_SCHEDULE, prediction)
    spy = _Spy(torch.zeros_like(x0))
    objective.errors(spy, x0, vocals, t, eps)
    # What makes the error zero must be what the samplers take for x0.
    alpha, sigma = (torch.from_numpy(table)[t].float()[:, None, None] for table in (_SCHEDULE.alpha, _SCHEDULE.sigma))
    exact = {Prediction.V: alpha * eps - sigma * x0, Prediction.EPSILON: eps}[prediction]
    spy.output = exact
    assert float(objective.errors(spy, x0, vocals, t, eps).max()) < 1e-12
    for i in range(4):  # beyond, alpha is so small that epsilon says little about x0
        step = int(t[i])
        inverted = x0_from_output(
            prediction, spy.x[i], exact[i], float(_SCHEDULE.alpha[step]), float(_SCHEDULE.sigma[step])
        )
        torch.testing.assert_close(inverted, x0[i], atol=1e-4, rtol=1e-4)
    assert torch.equal(spy.vocals, vocals) and torch.equal(spy.t, t)


def test_the_loss_is_the_weighted_mean_of_the_errors() -> None:
    x0, vocals, t, eps = _draw()
    loss = Objective(_SCHEDULE, Prediction.V)(_Spy(torch.zeros_like(x0)), x0, vocals, t, eps)
    abar = _SCHEDULE.alphas_cumprod[t.numpy()]
    weight = np.minimum(2 / (abar / (1 - abar) + 1e-5), 10)
    v = np.sqrt(abar)[:, None, None] * eps.numpy() - np.sqrt(1 - abar)[:, None, None] * x0.numpy()
    assert float(loss) == pytest.approx(float((weight * np.square(v).mean((1, 2))).mean()), rel=1e-5)
    assert weight.max() == 10 and weight.min() < 0.01  # the draw reaches both ends


def test_weights_stay_within_the_limits_that_are_asked_for() -> None:
    published, limited = (Objective(_SCHEDULE, Prediction.V, *limits).weight for limits in ((), ((1.5, 5.0),)))
    assert torch.equal(limited, published.clamp(1.5, 5.0))
    assert limited[0] == 1.5 and limited[-1] == 5 and published[0] < 0.01


def test_noise_prediction_is_not_weighted() -> None:
    x0, vocals, t, eps = _draw()
    loss = Objective(_SCHEDULE, Prediction.EPSILON)(_Spy(torch.zeros_like(x0)), x0, vocals, t, eps)
    assert float(loss) == pytest.approx(float(eps.square().mean()), rel=1e-5)


def test_half_precision_output_is_compared_in_float32() -> None:
    x0, vocals, t, eps = _draw()
    objective = Objective(_SCHEDULE, Prediction.V)
    assert objective.errors(_Spy(torch.zeros_like(x0).bfloat16()), x0, vocals, t, eps).dtype == torch.float32
