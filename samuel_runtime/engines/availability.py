"""The ways a bundle can run on a machine: where, in which precision, and if not, why not and what adds it."""

from __future__ import annotations

from dataclasses import dataclass

from samuel_runtime.bundle.manifest import GraphName, Manifest
from samuel_runtime.engines.backend import Way
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider

_INSTALL_CPU = "pip install 'samuel-deploy[cpu]'"
_INSTALL_OPENVINO = "pip install 'samuel-deploy[openvino]'"


@dataclass(frozen=True)
class Found:
    """A way, and whether it can be tried on this machine."""

    way: Way
    """The way."""
    missing: str
    """Why it cannot be tried and what adds it; empty if it can."""


def ways_of(manifest: Manifest) -> list[Way]:
    """Every way that could run the bundle somewhere.

    Its graphs run in their own precision on any provider, and in what OpenVINO lowers them to; its engines in theirs.
    """
    own = manifest.precision
    ways = [Way(provider, _own(provider, manifest)) for provider in Provider if provider is not Provider.AUTO]
    lowered = [Precision.BF16, Precision.FP16] if own is Precision.FP32 else []
    after = 1 + ways.index(Way(Provider.OPENVINO, own))
    return [*ways[:after], *(Way(Provider.OPENVINO, precision) for precision in lowered), *ways[after:]]


def found_ways(manifest: Manifest) -> list[Found]:
    """Every way for a bundle; the reference comes first."""
    return [Found(way, why_missing(way, manifest)) for way in ways_of(manifest)]


def why_missing(way: Way, manifest: Manifest) -> str:
    """Why a bundle cannot run in this way here, and what to do; empty if it can be tried."""
    if way.provider is Provider.TENSORRT and manifest.engines is None:
        from samuel_runtime.engines.tensorrt import device

        return device.why_unfit(None)
    if way not in ways_of(manifest):
        own = _own(way.provider, manifest).value
        of = "engines compute" if way.provider is Provider.TENSORRT else "graphs compute"
        return f"the bundle's {of} in {own}, and only openvino lowers fp32 graphs; use --precision {own}"
    if way.provider is Provider.TENSORRT:
        from samuel_runtime.engines.tensorrt import device

        # The graph of the timesteps has no engine.
        return device.why_unfit(manifest.engines) or _why_not_onnx(way_of_graph(way, GraphName.TIMESTEPS, manifest))
    if way.provider is Provider.OPENVINO:
        try:
            from samuel_runtime.engines import openvino
        except ImportError:
            return f"OpenVINO is not installed; add it with `{_INSTALL_OPENVINO}`"
        return openvino.why_missing(way.precision)
    return _why_not_onnx(way)


def way_of_graph(way: Way, name: GraphName, manifest: Manifest) -> Way:
    """How one graph of a bundle runs: lowered where that pays and cannot be heard, else as it is typed.

    Measured with the packaged bundle, 25 steps, each graph lowered to bfloat16 by itself (OpenVINO); latents of the
    band as signal-to-noise ratio, sound as log-mel distance (24 steps instead of 25: 31.7 dB and 0.065; another
    seed: 1.8; the codec itself: 0.39):

    - step: 45 dB, 0.014, and 1.7 times as fast, which is the point of it.
    - timesteps: 37 dB, 0.041; conditioning: 64 dB, 0.001. Both run too rarely for their speed to matter.
    - encoder through spectra: 13 dB for the voice's latents, 0.36, and half as fast. Such a decoder: 0.089, likewise.
    - Oobleck's encoder and decoder (CodecFacts.lowerable): relative error 0.004, 1.9 times as fast (the decoder).

    A bundle that was exported in a lower precision has its float32 islands in its types, and nothing is lowered.
    Beside TensorRT's engines, the graph that has none runs on the processor.
    """
    typed = manifest.graphs[name].precision
    if way.provider is Provider.TENSORRT:
        return Way(Provider.CPU, typed)
    lowerable = name is GraphName.STEP or (name in (GraphName.ENCODER, GraphName.DECODER) and manifest.codec.lowerable)
    return Way(way.provider, way.precision if lowerable and manifest.precision is Precision.FP32 else typed)


def chosen_ways(
    manifest: Manifest, provider: Provider, precision: Precision | None = None, remembered: Way | None = None
) -> list[Way]:
    """The ways that the options ask for, the first choice first; more than one only where the choice is left to us.

    Args:
        manifest: of the bundle.
        provider: AUTO leaves the choice to what is remembered, then to the order of :func:`ways_of`.
        precision: None is the remembered way's with AUTO, else that of the files for the provider.
        remembered: what was measured as the fastest here.

    Raises:
        UserError: what is asked for cannot be tried here.
    """
    if provider is not Provider.AUTO:
        way = Way(provider, precision or _own(provider, manifest))
        if missing := why_missing(way, manifest):
            options = f"--provider {provider.value}" + (f" --precision {precision.value}" if precision else "")
            raise UserError(f"{options}: {missing}")
        return [way]
    asked = [way for way in ways_of(manifest) if precision in (None, way.precision)]
    if remembered in asked:
        asked.remove(remembered)
        asked.insert(0, remembered)
    found, reasons = [], []
    for way in asked:
        if missing := why_missing(way, manifest):
            reasons.append(f"{way}: {missing}")
            continue
        found.append(way)
        if way.provider is Provider.CPU:  # nothing is tried after it, and to look at the others takes importing them
            break
    if found:
        return found
    wanted = "" if precision is None else f"--precision {precision.value}: "
    if not asked:
        own = manifest.precision.value
        raise UserError(f"{wanted}the bundle computes in {own}; use --precision {own}, or export another")
    raise UserError(f"{wanted}nothing here can run the bundle; {'; '.join(reasons[:2])}")


def _why_not_onnx(way: Way) -> str:
    try:
        from samuel_runtime.engines import onnxruntime
    except ImportError:
        return f"ONNX Runtime is not installed; add it with `{_INSTALL_CPU}`"
    return onnxruntime.why_missing(way)


def _own(provider: Provider, manifest: Manifest) -> Precision:
    """What the bundle's files for a provider are typed in."""
    if provider is not Provider.TENSORRT:
        return manifest.precision
    return Precision.FP16 if manifest.engines is None else manifest.engines.precision
