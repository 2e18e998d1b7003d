"""A small network as a bundle has it and as a device runs it, and a fake GPU with its engines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from samuel_export.graphs.builder import GraphBuilder
from samuel_runtime.diffusion import fused_step
from samuel_runtime.diffusion.denoiser import Denoiser
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import timesteps_for, updates_of
from samuel_runtime.diffusion.schedule import Prediction, Schedule
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.onnxruntime import OnnxEngine
from samuel_runtime.engines.tensorrt.cuda import Cuda
from samuel_runtime.engines.tensorrt.engine import TensorRtEngine
from samuel_runtime.engines.tensorrt.kernel_cache import KernelCache
from samuel_runtime.settings import Precision, Provider, Sampler
from tests.support.runtime.fakes.cuda import FakeCuda
from tests.support.runtime.fakes.tensorrt import FakeTensorRt, Profile, write_engine

CHANNELS, FRAMES, MOST = 4, 10, 3
"""Of the latents: 160 bytes each, so that rows are padded; and the largest batch of the engines."""
GUIDANCE = Guidance(2.0)
CLAMP = (-2.5, 2.0)
BOOL = 9
"""ONNX's."""

_LATENTS = ["batch", CHANNELS, "frames"]
_DEVICE = Backend(Provider.TENSORRT, Precision.FP32)


@lru_cache
def conditioning_graph() -> bytes:
    """Vocals -> what the step attends to, in two shapes."""
    g = GraphBuilder("conditioning")
    loud = g.op("Mul", g.input("vocals", _LATENTS), g.weight(np.float32(0.7)))
    g.output("keys", g.op("Tanh", loud), _LATENTS)
    g.output("summary", g.op("ReduceMean", loud, g.ints(1), keepdims=1), ["batch", 1, "frames"])
    return g.build().SerializeToString()


@lru_cache
def timesteps_graph() -> bytes:
    """T -> what the step takes of it, in two shapes."""
    g = GraphBuilder("timesteps")
    t = g.op("Unsqueeze", g.op("Cast", g.input("t", ["batch"], 7), to=1), g.ints(1))
    angles = g.op("Mul", t, g.weight(np.array([[0.002, 0.01, 0.05, 0.2]])))
    g.output("film", g.op("Sin", angles), ["batch", CHANNELS])
    g.output("gate", g.op("Cos", g.op("Mul", t, g.weight(np.float32(0.003)))), ["batch", 1])
    return g.build().SerializeToString()


@lru_cache
def step_graph() -> bytes:
    """The network, guided."""
    g = GraphBuilder("step")
    g.output("output", _network(g, ["branches"]), _LATENTS)
    return g.build().SerializeToString()


@lru_cache
def fused_graph() -> bytes:
    """The network with everything that fused_step.py describes."""
    g = GraphBuilder("fused")
    output = _network(g, [2])
    anchor, before, fresh, prefix_latents = (g.input(name, _LATENTS) for name in ("anchor", "before", "noise", "known"))
    held = g.input("held", [1, 1, "frames"], BOOL)
    weights = g.split_op("Split", 14, g.input("update", [14]), axis=0, num_outputs=14)

    def combined(weights: list[str], values: list[str]) -> str:
        return g.op("Sum", *(g.op("Mul", value, weight) for value, weight in zip(values, weights, strict=True)))

    def clipped(value: str, least: str, most: str) -> str:
        return g.op("Min", g.op("Max", value, least), most)

    x0 = g.op("Where", held, prefix_latents, clipped(combined(weights[:2], ["x", output]), *weights[2:4]))
    corrected = combined(weights[4:8], ["x", anchor, x0, before])
    after = clipped(combined(weights[8:12], [corrected, x0, before, fresh]), *weights[12:14])
    for name, value in zip(fused_step.OUTPUTS, (after, corrected, x0), strict=True):
        g.output(name, value, _LATENTS)
    return g.build().SerializeToString()


def _network(g: GraphBuilder, branches: list[int | str]) -> str:
    """g cond + (1 - g) null, where null hears nothing; its guidance is the sum of all scales but the first."""
    x, scales, keys = g.input("x", _LATENTS), g.input("scales", branches), g.input("keys", _LATENTS)
    film, gate = g.input("film", ["batch", CHANNELS]), g.input("gate", ["batch", 1])
    summary = g.input("summary", ["batch", 1, "frames"])
    null = g.op("Add", g.op("Mul", x, g.weight(np.float32(0.8))), g.op("Unsqueeze", film, g.ints(2)))
    heard = g.op("Mul", g.op("Add", keys, summary), g.op("Unsqueeze", gate, g.ints(2)))
    first = g.op("Slice", scales, g.ints(0), g.ints(1), g.ints(0))
    rest = g.op("Sub", g.op("ReduceSum", scales, g.ints(0), keepdims=1), first)
    cond = g.op("Mul", g.op("Tanh", g.op("Add", null, heard)), first)
    return g.op("Add", cond, g.op("Mul", g.op("Tanh", null), rest))


def profile(**shapes: tuple[int | str, ...]) -> Profile:
    """Batch 1 to 3, 1 to 64 frames; "b" and "f" stand for them."""
    least, best, most = {"b": 1, "f": 1}, {"b": 1, "f": FRAMES}, {"b": MOST, "f": 64}
    return {
        name: tuple([sizes.get(n, n) for n in shape] for sizes in (least, best, most))  # type: ignore[misc, call-overload]
        for name, shape in shapes.items()
    }


LATENTS = ("b", CHANNELS, "f")
CONDITIONING = profile(vocals=LATENTS)
STEP = profile(
    **dict.fromkeys(("x", "anchor", "before", "noise", "known", "keys"), LATENTS),
    summary=("b", 1, "f"),
    film=("b", CHANNELS),
    gate=("b", 1),
    scales=(2,),
    held=(1, 1, "f"),
    update=(fused_step.COEFFICIENTS,),
)


@dataclass
class Machine:
    """A fake GPU, the library on it, and CUDA as samuel has it."""

    fake: FakeCuda = field(default_factory=FakeCuda)

    def __post_init__(self) -> None:
        self.trt, self.cuda = FakeTensorRt(self.fake), Cuda(self.fake)

    def engine(self, model: bytes, *profiles: Profile, name: str = "m.engine", **header: Any) -> TensorRtEngine:
        """An engine of that graph, opened."""
        content = write_engine(model, profiles, **header)
        cache = KernelCache(hashlib.sha256(content).hexdigest(), self.cuda.gpu, self.trt.__version__)
        return TensorRtEngine(content, name, _DEVICE, self.cuda, self.trt, cache)

    def conditioning(self) -> TensorRtEngine:
        """The toy's."""
        return self.engine(conditioning_graph(), CONDITIONING, name="conditioning.engine")

    def step(self) -> TensorRtEngine:
        """The toy's, fused."""
        return self.engine(fused_graph(), STEP, name="step.engine")


@contextmanager
def defective(fake: FakeCuda, said: str) -> Iterator[None]:
    """What is done here must be called this defect; it is then forgiven."""
    try:
        yield
    except AssertionError as error:
        assert said in str(error)
        fake.defects.remove(str(error))
    else:
        raise AssertionError(f"passed, but should have been called a defect: {said}")


@lru_cache
def on_host(model: bytes, name: str = "m.onnx") -> OnnxEngine:
    """A graph in ONNX Runtime; the same each time."""
    return OnnxEngine(model, name, Backend(Provider.CPU, Precision.FP32), threads=1)


def facts(prediction: Prediction = Prediction.V, timesteps: int = 800) -> Any:
    """What a denoiser reads of a manifest."""
    return SimpleNamespace(prediction=prediction, timesteps=timesteps, latent_channels=CHANNELS, sheet_channels=0)


def host_denoiser(prediction: Prediction = Prediction.V) -> Denoiser:
    """The toy with the loop on the host."""
    return Denoiser(on_host(conditioning_graph()), on_host(timesteps_graph()), on_host(step_graph()), facts(prediction))


def draw(batch: int, seed: int, t: int) -> np.ndarray:
    """Noise of a timestep, (batch, channels, frames)."""
    return np.stack([noise(seed + take, t, 0, FRAMES, CHANNELS) for take in range(batch)])


@dataclass(frozen=True)
class Window:
    """What a window is sampled from."""

    batch: int = 1
    held: int = 0
    guidance: Guidance = GUIDANCE
    seed: int = 0

    @property
    def vocals(self) -> np.ndarray:
        return draw(self.batch, self.seed, 1001)

    @property
    def prefix_latents(self) -> np.ndarray:
        return np.clip(draw(self.batch, self.seed, 1002), *CLAMP)[..., : self.held]

    def inputs(self, sampler: Sampler, steps: int, prediction: Prediction = Prediction.V) -> fused_step.Inputs:
        """For a loop on the device."""
        schedule, terms = Schedule.cosine(), on_host(timesteps_graph())
        timesteps = timesteps_for(sampler, schedule, steps)
        taken, noises = partial(draw, self.batch, self.seed), None
        if sampler is Sampler.ANCESTRAL:
            noises = np.stack([taken(t) for t in timesteps])
        updates = [
            fused_step.coefficients(update, prediction, float(schedule.alpha[t]), float(schedule.sigma[t]), CLAMP)
            for t, update in zip(timesteps, updates_of(sampler, schedule, timesteps), strict=True)
        ]
        return fused_step.Inputs(
            conditioning={"vocals": self.vocals},
            start=taken(schedule.timesteps),
            prefix_latents=self.prefix_latents,
            guidance=[self.guidance.at(t) for t in timesteps],
            updates=np.stack(updates),
            terms=[terms(t=np.full(self.batch, t, np.int64)) for t in timesteps],
            noise=noises,
        )
