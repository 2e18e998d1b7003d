"""Parity of the graphs that engines are built from: run on the CPU and compared with the bundle's own.

Engines run on GPUs only, so what is checked anywhere is their source: exactly the graphs that the builder is given,
driven by the runtime's own loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from samuel_export.parity.cases import parity_cases
from samuel_export.parity.check import Say
from samuel_export.parity.compare import build_report, compare_runners
from samuel_export.parity.limits import limits_of
from samuel_export.parity.runners import RuntimeRunner
from samuel_export.precision.weights import WeightFormat
from samuel_export.tensorrt.graphs import engine_graphs
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.codec import Codec, CodecEngines
from samuel_runtime.diffusion.fused_step import Inputs
from samuel_runtime.engines.backend import Backend, Engine
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.engines.tensorrt.denoiser import DeviceDenoiser
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_STEPS, Precision, Provider
from samuel_runtime.tuning.agreement import compare, generated_sample


class HostLoop:
    """The device's loop of fused steps, on the CPU."""

    def __init__(self, conditioning: Engine, step: Engine) -> None:
        self._conditioning, self._step = conditioning, step

    def run(self, inputs: Inputs) -> np.ndarray:
        """See :class:`samuel_runtime.diffusion.fused_step.SamplingLoop`."""
        x, corrected_x, before = inputs.start, np.zeros_like(inputs.start), np.zeros_like(inputs.start)
        held = inputs.prefix_latents.shape[-1]
        known = np.zeros_like(x)
        known[..., :held] = inputs.prefix_latents
        once = {
            **self._conditioning(**inputs.conditioning),
            "known": known,
            "held": (np.arange(x.shape[-1]) < held)[None, None],
        }
        steps = []
        for index, (scale, terms) in enumerate(zip(inputs.guidance, inputs.terms, strict=True)):
            noise = np.zeros_like(x) if inputs.noise is None else inputs.noise[index]
            latents = {"x": x, "anchor": corrected_x, "before": before, "noise": noise}
            scales = np.array([scale, 1 - scale], np.float32)
            made = self._step(**latents, **once, **terms, scales=scales, update=inputs.updates[index])
            x, corrected_x, before = made["next"], made["next_anchor"], made["x0"]
            steps.append(x)
        return np.stack(steps)


def check_engine_graphs(
    bundle: Bundle, graphs: Mapping[GraphName, onnx.ModelProto], precision: Precision, say: Say
) -> dict[str, Any]:
    """Run every case on these graphs and on the bundle's own, and an excerpt with the fused loop.

    Args:
        bundle: has passed its own parity check.
        graphs: sources of its engines.
        precision: of their arithmetic.
        say: called with a line for each case.

    Returns:
        The report; its "passed" is the verdict.

    Raises:
        UserError: nothing on this machine computes in the precision.
    """
    manifest = bundle.manifest
    candidate = engines_on_host(bundle, graphs, precision)
    own = Provider.OPENVINO if manifest.precision is Precision.BF16 else Provider.CPU
    reference = Samuel.load(bundle.folder, own, precision=manifest.precision)
    limits = limits_of(precision, WeightFormat.FP32)
    wanted = parity_cases(manifest.model, manifest.codec, manifest.statistics, limits, DEFAULT_STEPS)
    comparisons = compare_runners(wanted, RuntimeRunner(candidate), RuntimeRunner(reference))
    for one in comparisons:
        say(one.line())
    looped = compare(generated_sample(candidate), generated_sample(reference))
    # The only case of the sampler inside the graph, so it is held to what trajectories are, not to what can be heard.
    holds = looped.passed and looped.error <= limits.trajectory
    verdict = "ok  " if holds else "FAIL"
    say(f"{verdict} the fused loop: latents {looped.latent_snr_db:.0f} dB, log-mel distance {looped.log_mel:.3f}")
    report = build_report(comparisons, DEFAULT_STEPS)
    report |= {
        "reference": "the bundle's own graphs; what the engines are built from ran on the processor",
        "fused_loop": {**looped.to_dict(), "passed": holds},
        "passed": report["passed"] and holds,
    }
    return report


def verify_engines(bundle: Bundle, say: Say) -> bool:
    """Whether a bundle's engines are intact and built from its graphs as this version writes them, and these pass.

    Raises:
        UserError: a file of the bundle is not in order, or nothing on this machine computes in the precision.
    """
    engines = bundle.manifest.engines
    if engines is None:
        return True
    graphs = engine_graphs(bundle, engines.precision)
    for name, facts in engines.files.items():
        bundle.read_engine(facts)
        if hashlib.sha256(graphs[name].SerializeToString()).hexdigest() != facts.source_sha256:
            say(f"FAIL {facts.file}: was not built from {name.value}.onnx by this version; build it again with --trt")
            return False
    return bool(check_engine_graphs(bundle, graphs, engines.precision, say)["passed"])


def engines_on_host(bundle: Bundle, graphs: Mapping[GraphName, onnx.ModelProto], precision: Precision) -> Samuel:
    """Load the bundle with these graphs in place of its engines, on the CPU.

    Raises:
        UserError: nothing on this machine computes in the precision.
    """
    manifest = bundle.manifest
    # ONNX Runtime has no bfloat16 on processors.
    backend = Backend(Provider.OPENVINO if precision is Precision.BF16 else Provider.CPU, precision)

    def engine(name: GraphName) -> Engine:
        return open_engine(graphs[name].SerializeToString(), f"the engine's {name.value}", backend, typed=precision)

    loop = HostLoop(engine(GraphName.CONDITIONING), engine(GraphName.STEP))
    facts = manifest.graphs[GraphName.TIMESTEPS]
    timesteps = open_engine(
        bundle.read_graph(GraphName.TIMESTEPS),
        facts.file,
        Backend(Provider.CPU, facts.precision),
        typed=facts.precision,
    )
    codec = Codec(CodecEngines(engine, together=True), manifest.codec, manifest.statistics)
    return Samuel(manifest, codec, DeviceDenoiser(timesteps, manifest.model, backend, lambda terms, shape, noisy: loop))
