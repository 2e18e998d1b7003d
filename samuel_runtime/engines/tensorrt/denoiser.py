"""The denoiser on a GPU: a window goes in, its latents come out, and the loop between them is one CUDA graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np

from samuel_runtime.bundle.manifest import ModelFacts
from samuel_runtime.diffusion import fused_step
from samuel_runtime.diffusion.denoiser import Sampling, check_step, conditioning_inputs, timestep_features_of
from samuel_runtime.diffusion.fused_step import Inputs, SamplingLoop
from samuel_runtime.diffusion.samplers import Draw, updates_of
from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.engines.backend import Backend, Engine

_LOOPS_KEPT = 2
"""Captured loops hold the device's memory: a song's windows need one, and the network by itself another."""


Capture = Callable[[list[dict[str, np.ndarray]], tuple[int, int, int], bool], SamplingLoop]
"""Terms of each step, the latents' shape, and whether every step draws noise -> a loop."""


class DeviceDenoiser:
    """A bundle's denoiser whose loop runs in one piece, elsewhere."""

    def __init__(self, timesteps: Engine, facts: ModelFacts, backend: Backend, capture: Capture) -> None:
        """Take the graph of the timesteps, what the manifest says of the model, and what makes loops."""
        self.facts, self.backend = facts, backend
        self.schedule = Schedule.cosine(facts.timesteps)
        self._terms = terms = timestep_features_of(timesteps)

        # Not a method: a cache that holds its owner keeps the device's memory until the collector finds the circle.
        @lru_cache(_LOOPS_KEPT)
        def loop(steps: int, shape: tuple[int, int, int], noisy: bool) -> SamplingLoop:
            return capture([terms((0,) * shape[0])] * steps, shape, noisy)

        capturing = threading.Lock()  # or two threads would each capture what one loop is enough for

        def one_loop(steps: int, shape: tuple[int, int, int], noisy: bool) -> SamplingLoop:
            with capturing:
                return loop(steps, shape, noisy)

        self._loop = one_loop

    def trajectory(
        self,
        vocals: np.ndarray,
        prefix_latents: np.ndarray,
        sampling: Sampling,
        draw: Draw,
        sheet: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """See diffusion/denoiser.py; all steps are done when the first is yielded."""
        timesteps = list(sampling.timesteps)
        updates = updates_of(sampling.sampler, self.schedule, timesteps)
        noisy = any(update.advance.noise for update in updates)
        rows = [
            fused_step.coefficients(update, self.facts.prediction, *self._scales(t), sampling.clamp)
            for update, t in zip(updates, timesteps, strict=True)
        ]
        inputs = Inputs(
            conditioning=conditioning_inputs(self.facts, vocals, sheet),
            start=draw(self.schedule.timesteps),
            prefix_latents=prefix_latents,
            guidance=[sampling.guidance.at(t) for t in timesteps],
            updates=np.stack(rows),
            terms=[self._terms((t,) * len(vocals)) for t in timesteps],
            noise=np.stack([draw(t) for t in timesteps]) if noisy else None,
        )
        yield from self._loop(len(timesteps), vocals.shape, noisy).run(inputs)

    def conditioned(self, vocals: np.ndarray, sheet: np.ndarray | None = None) -> DeviceStep:
        """See :class:`samuel_runtime.diffusion.denoiser.DenoiserBackend`."""
        return DeviceStep(self, conditioning_inputs(self.facts, vocals, sheet))

    def output(
        self, conditioning: Mapping[str, np.ndarray], x: np.ndarray, t: Sequence[int], guidance: float
    ) -> np.ndarray:
        """The network's output alone, as a loop of one step."""
        vocals = conditioning["vocals"]
        check_step(self.facts, vocals.shape, x, t)
        terms = [self._terms(tuple(int(one) for one in t))]
        updates, nothing = fused_step.output_alone()[None], vocals[..., :0]
        inputs = Inputs(conditioning, x, nothing, [guidance], updates, terms, noise=None)
        return np.asarray(self._loop(1, vocals.shape, False).run(inputs)[0])

    def _scales(self, t: int) -> tuple[float, float]:
        return float(self.schedule.alpha[t]), float(self.schedule.sigma[t])


class DeviceStep:
    """The network on the device with its vocals and its sheet fixed."""

    def __init__(self, denoiser: DeviceDenoiser, conditioning: Mapping[str, np.ndarray]) -> None:
        """Take the inputs of the conditioning graph by name."""
        self._denoiser, self._conditioning = denoiser, conditioning

    def __call__(self, x: np.ndarray, t: Sequence[int], guidance: float = 1.0) -> np.ndarray:
        """See :class:`samuel_runtime.diffusion.denoiser.Network`."""
        return self._denoiser.output(self._conditioning, x, t, guidance)
