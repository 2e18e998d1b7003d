"""Windows of several runs as one batch are those of the runs alone, within the limits of a bundle's parity."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samuel_export.parity.limits import limits_of
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.diffusion.batching import BatchedDenoiser, PendingWindow, largest_batch, sample_together
from samuel_runtime.diffusion.denoiser import Sampling
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Sampler, Settings

LIMIT = limits_of(Precision.FP32, WeightFormat.FP32).trajectory
SAMPLING = Sampling(Sampler.UNIPC, (799, 500, 200), Guidance(2.0, down_to=100), (-5.0, 5.0))


@pytest.fixture(scope="module")
def samuel(bundle: Path) -> Iterator[Samuel]:
    with Samuel.load(bundle, "cpu", threads=1) as samuel:
        yield samuel


def window(seed: int, frames: int = 64, held: int = 0, sampling: Sampling = SAMPLING) -> PendingWindow:
    vocals, prefix = noise(seed, 1, 0, frames, 64)[None], noise(seed, 2, 0, held, 64)[None]
    return PendingWindow(vocals, prefix, sampling, lambda t: noise(seed, t, 0, frames, 64)[None], None)


def latents(pending: PendingWindow) -> list[np.ndarray]:
    return [pending.steps.get_nowait() for _ in range(pending.steps.qsize())]


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64)))


def test_a_window_in_a_batch_is_the_window_alone(samuel: Samuel) -> None:
    together = [window(seed, held=16) for seed in range(3)]
    sample_together(samuel.denoiser, together)
    for seed, pending in enumerate(together):
        alone = window(seed, held=16)
        sample_together(samuel.denoiser, [alone])
        steps, expected = latents(pending), latents(alone)
        assert len(steps) == len(expected) == len(SAMPLING.timesteps)
        for actual, wanted in zip(steps, expected, strict=True):
            assert distance(actual, wanted) < LIMIT
        np.testing.assert_array_equal(steps[-1][..., :16], alone.prefix_latents)


def test_only_windows_of_one_kind_are_one_batch(samuel: Samuel) -> None:
    other = replace(SAMPLING, guidance=Guidance(3.0, down_to=100))
    mixed = [window(0), window(1, frames=128), window(2, held=16), window(3, sampling=other), window(4)]
    assert largest_batch(mixed) == 2 and largest_batch(mixed[:4]) == 1 and largest_batch([]) == 0
    batches: list[int] = []

    class Counting:
        def trajectory(self, vocals: np.ndarray, *rest: Any) -> Iterator[np.ndarray]:
            batches.append(len(vocals))
            return samuel.denoiser.trajectory(vocals, *rest)

    sample_together(Counting(), mixed)  # type: ignore[arg-type]
    assert sorted(batches) == [1, 1, 1, 2]
    assert all(pending.steps.qsize() == len(SAMPLING.timesteps) for pending in mixed)


def test_a_run_through_batches_tells_of_every_step_and_is_the_run_alone(samuel: Samuel) -> None:
    """Over several windows, each of which goes on from the one before."""
    vocals = noise(5, 0, 0, 768, 64)
    settings, seen = Settings(steps=2, seed=3), []
    with ThreadPoolExecutor(1) as pool:
        submitted = lambda one: pool.submit(sample_together, samuel.denoiser, [one, window(9)])  # noqa: E731
        batched = samuel.with_denoiser(BatchedDenoiser(samuel.denoiser, submitted))
        song = batched.generate(vocals, settings, lambda progress: seen.append((progress.done, progress.total)))
    assert distance(song, samuel.generate(vocals, settings)) < LIMIT
    assert seen == [(done, 4) for done in range(1, 5)]


def test_what_goes_wrong_in_a_batch_reaches_those_in_it(samuel: Samuel) -> None:
    def submitted(pending: PendingWindow) -> Future[None]:
        future: Future[None] = Future()
        future.set_exception(MemoryError("too much"))
        return future

    batched = samuel.with_denoiser(BatchedDenoiser(samuel.denoiser, submitted))
    with pytest.raises(MemoryError, match="too much"):
        batched.generate(noise(5, 0, 0, 64, 64), Settings(steps=2))
