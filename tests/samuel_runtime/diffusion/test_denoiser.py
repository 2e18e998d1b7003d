"""The denoiser binds its memory once: nobody may hold what its next step overwrites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.schedule import Prediction
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import Progress
from samuel_runtime.settings import Provider, Sampler, Settings

RNG = np.random.default_rng(8)
VOCALS = RNG.standard_normal((2, 64, 32)).astype(np.float32)
NOISY = RNG.standard_normal((2, 64, 32)).astype(np.float32)


@pytest.fixture(scope="module", params=[Provider.CPU, Provider.OPENVINO])
def samuel(bundle: Path, request: pytest.FixtureRequest) -> Samuel:
    if request.param is Provider.OPENVINO:
        pytest.importorskip("openvino", reason="OpenVINO is not installed (extra `openvino`)")
    return Samuel.load(bundle, request.param, threads=1)


def _distance(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64)))


def test_a_bound_step_is_what_a_call_is(samuel: Samuel) -> None:
    """To the bit in ONNX Runtime; OpenVINO fuses more for shapes that are fixed."""
    denoiser, t = samuel.denoiser, (400, 30)
    step = samuel.conditioned(VOCALS)
    for guidance in (1.0, 2.5, 1.0):
        inputs = {"x": NOISY, "scales": np.array([1.0] if guidance == 1 else [guidance, 1 - guidance], np.float32)}
        called = denoiser.step_engine(**inputs, **denoiser.terms(t), **step.memory)["output"]
        bound = step(NOISY, t, guidance)
        if samuel.backend.provider is Provider.CPU:
            np.testing.assert_array_equal(bound, called)
        assert _distance(bound, called) < 1e-5


def test_guidance_ends_where_it_is_told_to(samuel: Samuel) -> None:
    step, clamp = samuel.conditioned(VOCALS), (-1e3, 1e3)
    limited, full, none = (step.clean(one, clamp) for one in (Guidance(3.0, 400), Guidance(3.0), Guidance(1.0)))
    for t, expected, other in ((400, full, none), (399, none, full)):
        np.testing.assert_array_equal(limited(NOISY, t), expected(NOISY, t))
        assert _distance(limited(NOISY, t), other(NOISY, t)) > 1e-3


def test_an_output_is_the_callers_to_keep(samuel: Samuel) -> None:
    step = samuel.conditioned(VOCALS)
    kept = step(NOISY, [400, 400], 2.0)
    before = kept.copy()
    assert _distance(step(0.5 * NOISY, [10, 700], 2.0), before) > 1e-3
    np.testing.assert_array_equal(kept, before)
    kept[...] = 0  # nor does the network see what a caller does with it
    np.testing.assert_array_equal(step(NOISY, [400, 400], 2.0), before)


@pytest.mark.parametrize("sampler", Sampler)
def test_samplers_hold_no_view_of_an_output_that_the_next_step_overwrites(samuel: Samuel, sampler: Sampler) -> None:
    """Latents that a progress callable kept are the same after the run as when it was called."""
    seen: list[np.ndarray] = []
    copies: list[np.ndarray] = []

    def keep(progress: Progress) -> None:
        assert progress.step is not None
        seen.append(progress.step.latents)
        copies.append(progress.step.latents.copy())

    samuel.generate(VOCALS[0], Settings(sampler, steps=4), keep)
    assert len(seen) == 4
    for kept, copy in zip(seen, copies, strict=True):
        np.testing.assert_array_equal(kept, copy)


@pytest.mark.parametrize("prediction", Prediction)
def test_clean_latents_are_not_the_memory_of_the_output(
    samuel: Samuel, prediction: Prediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = samuel.denoiser.facts.model_copy(update={"prediction": prediction})
    monkeypatch.setattr(samuel.denoiser, "facts", facts)
    denoise = samuel.conditioned(VOCALS).clean(Guidance(2.0), samuel.manifest.statistics.clamp)
    first = denoise(NOISY, 400)
    before = first.copy()
    assert _distance(denoise(0.5 * NOISY, 10), before) > 1e-3
    np.testing.assert_array_equal(first, before)
