"""The runners of a guided step: PyTorch as published, as written here and compiled; and the runtime's backends."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from benchmarks.measuring.pairs import Runner, Work
from benchmarks.runners.network import FRAMES, GUIDANCE, Paper, latents
from benchmarks.runners.published import guided, published
from samuel_export import flops
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.engines.availability import probe_backends
from samuel_runtime.engines.backend import Backend, Bound, Engine
from samuel_runtime.engines.tensorrt.device import gpu_here
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Provider
from samuel_train.model.denoiser import Denoiser

PUBLISHED, EAGER, COMPILED = "PyTorch as published", "PyTorch eager", "torch.compile"
PUBLISHED_CUDA, COMPILED_CUDA = f"{PUBLISHED}, CUDA", f"{COMPILED}, CUDA"
BACKENDS = {
    "ONNX Runtime fp32": Backend(Provider.CPU, Precision.FP32),
    "OpenVINO fp32": Backend(Provider.OPENVINO, Precision.FP32),
    "OpenVINO bf16": Backend(Provider.OPENVINO, Precision.BF16),
    "ONNX Runtime fp32, CUDA": Backend(Provider.CUDA, Precision.FP32),
    "TensorRT fp16": Backend(Provider.TENSORRT, Precision.FP16),
    "ONNX Runtime fp32, TensorRT": Backend(Provider.ORT_TENSORRT, Precision.FP32),
}
"""The runners that the runtime computes, and how."""
REFERENCES = (PUBLISHED, EAGER)
"""What ratios refer to."""
RUNNERS = (PUBLISHED, EAGER, COMPILED, PUBLISHED_CUDA, COMPILED_CUDA, *BACKENDS)

LIMITS = {Precision.FP32: 1e-4, Precision.BF16: 5e-2, Precision.FP16: 5e-3}
"""Largest relative L2 of one step against PyTorch eager: rounding is 3e-6 in float32, 3e-2 in bfloat16."""

TIMESTEP = 400


class Steps:
    """Opens runners when asked, and keeps them for the session."""

    def __init__(self, paper: Paper) -> None:
        """Take the network."""
        self.paper = paper
        self.samuel: Callable[[str], Samuel] = cache(self._load)
        self.on: Callable[[str, str], Denoiser] = cache(self._torch)
        self._flop: Callable[[str, int], float] = cache(self._count)

    def open(self, name: str, frames: int = FRAMES) -> Runner:
        """The runner of that name; the calling test is skipped where this machine has no such runner."""
        if name in BACKENDS:
            return Runner(name, self._runtime(name, frames), self._flop("graph", frames))
        if name.endswith("CUDA") and not torch.cuda.is_available():
            pytest.skip("this machine has no CUDA GPU that PyTorch can use")
        kind, _, device = name.partition(", ")
        return Runner(name, self._eager(self.on(kind, device.lower() or "cpu"), frames), self._flop(kind, frames))

    def limit(self, name: str) -> float:
        """Largest relative L2 of a runner."""
        return LIMITS[BACKENDS[name].precision if name in BACKENDS else Precision.FP32]

    @cached_property
    def statistics(self) -> Statistics:
        """Of the latents."""
        return Bundle.open(self.paper.bundle).manifest.statistics

    @cached_property
    def parameters(self) -> int:
        """Of the network."""
        return sum(parameter.numel() for parameter in self.paper.model.parameters())

    def _torch(self, kind: str, device: str) -> Any:
        model = copy.deepcopy(self.paper.model).to(device)
        if kind == PUBLISHED:
            return published(model)
        return torch.compile(model) if kind == COMPILED else model

    def _eager(self, model: Denoiser, frames: int) -> Work:
        device = next(model.parameters()).device
        x, vocals = (torch.from_numpy(latents(seed, frames)).to(device) for seed in (0, 1))
        t = torch.tensor([TIMESTEP], device=device)
        return lambda: guided(model, x, vocals, t, GUIDANCE).cpu().numpy()

    def _load(self, name: str) -> Samuel:
        backend = BACKENDS[name]
        if backend.provider is Provider.TENSORRT:
            try:
                gpu_here()
            except UserError as error:
                pytest.skip(str(error))
        manifest = Bundle.open(self.paper.bundle).manifest
        missing = {found.backend: found.missing for found in probe_backends(manifest)}.get(
            backend, "no such backend in this version"
        )
        if missing:
            pytest.skip(missing)
        return Samuel.load(self.paper.bundle, backend.provider, torch.get_num_threads(), backend.precision)

    def _runtime(self, name: str, frames: int) -> Work:
        x, vocals = (latents(seed, frames) for seed in (0, 1))
        step = self.samuel(name).conditioned(vocals)
        return lambda: step(x, [TIMESTEP], GUIDANCE)

    def _count(self, kind: str, frames: int) -> float:
        if kind != "graph":
            model = self.on(PUBLISHED if kind == PUBLISHED else EAGER, "cpu")  # compiling keeps the arithmetic
            noisy = torch.zeros(1, 64, frames)
            return 2.0 * flops.of_module(model, noisy, noisy, torch.tensor([TIMESTEP]))  # two calls
        samuel = self._load("ONNX Runtime fp32")
        recorder = _Recorder(samuel.denoiser.step_engine)
        samuel.denoiser.step_engine = recorder
        samuel.conditioned(latents(1, frames))(latents(0, frames), [TIMESTEP], GUIDANCE)
        graph = Bundle.open(self.paper.bundle).read_graph(GraphName.STEP)
        return float(flops.of_graph(onnx.load_from_string(graph), recorder.inputs_seen))


class _Recorder:
    """An engine that remembers what it was given."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.backend, self.inputs, self.outputs = engine, engine.backend, engine.inputs, engine.outputs
        self.inputs_seen: dict[str, np.ndarray] = {}

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        self.inputs_seen = inputs
        return self._engine(**inputs)

    def bind(self, **inputs: np.ndarray) -> Bound:
        self.inputs_seen = inputs
        return self._engine.bind(**inputs)
