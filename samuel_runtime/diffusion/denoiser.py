"""The denoiser of a bundle: three graphs, run once per window, once per schedule and once per step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from samuel_runtime.bundle.manifest import ModelFacts
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.samplers import Denoise, Draw, sample
from samuel_runtime.diffusion.schedule import Schedule, x0_denoiser
from samuel_runtime.diffusion.windows import inpaint_prefix
from samuel_runtime.engines.backend import Backend, Bound, Engine
from samuel_runtime.settings import Sampler

_TIMESTEPS_KEPT = 1024  # more than one full schedule


@dataclass(frozen=True)
class Sampling:
    """How a window is sampled."""

    sampler: Sampler
    timesteps: tuple[int, ...]
    """One per step, falling."""
    guidance: Guidance
    clamp: tuple[float, float]
    """Range of the training data, to which every estimate of x_0 is clamped."""


class Network(Protocol):
    """The network for given vocals."""

    def __call__(self, x: np.ndarray, t: Sequence[int], guidance: float = 1.0) -> np.ndarray:
        """The network's output for noisy latents.

        Args:
            x: float32 (batch, channels, frames).
            t: one integer timestep per batch element.
            guidance: g in v_null + g (v_cond - v_null); 1.0 is the conditional output alone.

        Returns:
            float32 (batch, channels, frames): v or epsilon, as the manifest says.

        Raises:
            ValueError: if shapes or timesteps do not fit.
        """


class DenoiserBackend(Protocol):
    """A bundle's denoiser, wherever it runs."""

    schedule: Schedule

    @property
    def backend(self) -> Backend:
        """Provider and precision of its step graph."""

    def conditioned(self, vocals: np.ndarray, sheet: np.ndarray | None = None) -> Network:
        """The network for given vocals: normalised latents, float32 (batch, channels, frames).

        ``sheet`` is as for :meth:`trajectory`.
        """

    def trajectory(
        self,
        vocals: np.ndarray,
        prefix_latents: np.ndarray,
        sampling: Sampling,
        draw: Draw,
        sheet: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Sample a window.

        Args:
            vocals: normalised latents, float32 (batch, channels, frames).
            prefix_latents: the window's first frames, (batch, channels, held frames), which stay as they are.
            sampling: sampler, timesteps and guidance.
            draw: noise of a timestep, in the latents' shape; that of the schedule's length is where it starts.
            sheet: the lead sheet as leadsheet/raster.py draws it, float32 (batch, sheet channels, frames); None knows
                nothing, and is all that a model without sheet channels takes.

        Yields:
            The band's latents after every step, (batch, channels, frames).
        """


def check_step(facts: ModelFacts, vocals: tuple[int, ...], x: np.ndarray, t: Sequence[int]) -> None:
    """Raise a ValueError if noisy latents or timesteps do not fit vocals of this shape."""
    batch, _, frames = vocals
    if x.shape != (batch, facts.latent_channels, frames) or len(t) != batch:
        raise ValueError(f"x {x.shape} and {len(t)} timesteps for {batch} x {frames} frames of vocals")
    if not all(0 <= one < facts.timesteps for one in t):
        raise ValueError(f"timesteps lie between 0 and {facts.timesteps - 1}")


def conditioning_inputs(facts: ModelFacts, vocals: np.ndarray, sheet: np.ndarray | None) -> dict[str, np.ndarray]:
    """The conditioning graph's inputs by name; where nothing is known, a sheet is zeros.

    Raises:
        ValueError: the sheet does not fit the vocals, or the model takes none.
    """
    inputs = {"vocals": np.ascontiguousarray(vocals, dtype=np.float32)}
    shape = (vocals.shape[0], facts.sheet_channels, vocals.shape[2])
    if sheet is not None and (facts.sheet_channels == 0 or sheet.shape != shape):
        raise ValueError(f"a sheet of {sheet.shape} where the model and the vocals want {shape}")
    if facts.sheet_channels:
        inputs["sheet"] = np.zeros(shape, np.float32) if sheet is None else np.ascontiguousarray(sheet, np.float32)
    return inputs


TimestepFeatures = Callable[[tuple[int, ...]], dict[str, np.ndarray]]
"""Timesteps, one per batch element -> the step graph's inputs that depend on them alone."""


def timestep_features_of(timesteps: Engine) -> TimestepFeatures:
    """The timesteps graph with its results cached: every window of every run asks for the same."""
    return lru_cache(_TIMESTEPS_KEPT)(lambda t: timesteps(t=np.array(t, np.int64)))


class Denoiser:
    """The three denoiser graphs of a bundle, with the sampling loop on the host."""

    def __init__(self, conditioning: Engine, timesteps: Engine, step: Engine, facts: ModelFacts) -> None:
        self.facts = facts
        self.schedule = Schedule.cosine(facts.timesteps)
        self.step_engine = step
        self._conditioning = conditioning
        self.terms = timestep_features_of(timesteps)

    @property
    def backend(self) -> Backend:
        """Provider and precision of its step graph."""
        return self.step_engine.backend

    def trajectory(
        self,
        vocals: np.ndarray,
        prefix_latents: np.ndarray,
        sampling: Sampling,
        draw: Draw,
        sheet: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """See :class:`DenoiserBackend`."""
        clean = self.conditioned(vocals, sheet).clean(sampling.guidance, sampling.clamp)
        denoise = inpaint_prefix(clean, prefix_latents)
        start = draw(self.schedule.timesteps)
        return sample(sampling.sampler, denoise, start, self.schedule, list(sampling.timesteps), draw, sampling.clamp)

    def conditioned(self, vocals: np.ndarray, sheet: np.ndarray | None = None) -> ConditionedDenoiser:
        """See :class:`DenoiserBackend`."""
        memory = self._conditioning(**conditioning_inputs(self.facts, vocals, sheet))
        return ConditionedDenoiser(self, memory, vocals.shape[0], vocals.shape[2])


class ConditionedDenoiser:
    """The denoiser for given vocals: ``step(x, t, guidance)``."""

    def __init__(self, denoiser: Denoiser, memory: dict[str, np.ndarray], batch: int, frames: int) -> None:
        """``memory`` is the conditioning graph's output for the vocals, (batch, ...) each."""
        self.denoiser, self.batch, self.frames = denoiser, batch, frames
        self.memory = memory
        self._bound: dict[int, tuple[Bound, dict[str, np.ndarray]]] = {}

    def __call__(self, x: np.ndarray, t: Sequence[int], guidance: float = 1.0) -> np.ndarray:
        """See :class:`Network`."""
        return self._output(x, t, guidance).copy()

    def _output(self, x: np.ndarray, t: Sequence[int], guidance: float) -> np.ndarray:
        """As a call, but the next one overwrites what this one returns."""
        facts = self.denoiser.facts
        check_step(facts, (self.batch, facts.latent_channels, self.frames), x, t)
        scales = (1.0,) if guidance == 1.0 else (guidance, 1 - guidance)
        terms = self.denoiser.terms(tuple(int(one) for one in t))
        if len(scales) not in self._bound:
            self._bound[len(scales)] = self._bind(len(scales), terms)
        bound, inputs = self._bound[len(scales)]
        inputs["x"][...] = x
        inputs["scales"][...] = scales
        for name, value in terms.items():
            inputs[name][...] = value
        return bound.run()["output"]

    def _bind(self, branches: int, terms: dict[str, np.ndarray]) -> tuple[Bound, dict[str, np.ndarray]]:
        """The step graph bound to its inputs, and by name those that change from step to step."""
        inputs = {
            "x": np.empty((self.batch, self.denoiser.facts.latent_channels, self.frames), np.float32),
            "scales": np.empty(branches, np.float32),
            **{name: np.empty_like(value) for name, value in terms.items()},
        }
        return self.denoiser.step_engine.bind(**inputs, **self.memory), inputs

    def clean(self, guidance: Guidance, clamp: tuple[float, float]) -> Denoise:
        """``denoise(x, t)`` for samplers: x_0 from the guided output, clamped to the range of the training data."""

        def network(x: np.ndarray, t: int) -> np.ndarray:
            return self._output(x, [t] * len(x), guidance.at(t))

        return x0_denoiser(network, self.denoiser.facts.prediction, self.denoiser.schedule, clamp)
