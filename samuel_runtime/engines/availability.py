"""The backends that can run a bundle on a machine; for those that cannot, why not and what adds them."""

from __future__ import annotations

from dataclasses import dataclass

from samuel_runtime.bundle.manifest import GraphName, Manifest
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider

_INSTALL_CPU = "pip install 'samuel-deploy[cpu]'"
_INSTALL_OPENVINO = "pip install 'samuel-deploy[openvino]'"


@dataclass(frozen=True)
class ProbedBackend:
    """A backend, and whether it can be tried on this machine."""

    backend: Backend
    """Provider and precision."""
    missing: str
    """Why it cannot be tried and what adds it; empty if it can."""


def backends_of(manifest: Manifest) -> list[Backend]:
    """Every backend that could run the bundle somewhere.

    Its graphs run in their own precision on any provider, and in what OpenVINO lowers them to; its engines in theirs.
    """
    own = manifest.precision
    backends = [Backend(provider, _own(provider, manifest)) for provider in Provider if provider is not Provider.AUTO]
    lowered = [Precision.BF16, Precision.FP16] if own is Precision.FP32 else []
    after = 1 + backends.index(Backend(Provider.OPENVINO, own))
    return [*backends[:after], *(Backend(Provider.OPENVINO, precision) for precision in lowered), *backends[after:]]


def probe_backends(manifest: Manifest) -> list[ProbedBackend]:
    """Every backend for a bundle; the reference comes first."""
    return [ProbedBackend(backend, unavailable_reason(backend, manifest)) for backend in backends_of(manifest)]


def unavailable_reason(backend: Backend, manifest: Manifest) -> str:
    """Why a bundle cannot run on this backend here, and what to do; empty if it can be tried."""
    if backend.provider is Provider.TENSORRT and manifest.engines is None:
        from samuel_runtime.engines.tensorrt import device

        return device.unfit_reason(None)
    if backend not in backends_of(manifest):
        own = _own(backend.provider, manifest).value
        of = "engines compute" if backend.provider is Provider.TENSORRT else "graphs compute"
        return f"the bundle's {of} in {own}, and only openvino lowers fp32 graphs; use `precision='{own}'`"
    if backend.provider is Provider.TENSORRT:
        from samuel_runtime.engines.tensorrt import device

        # The graph of the timesteps has no engine.
        return device.unfit_reason(manifest.engines) or _onnxruntime_unavailable(
            backend_of_graph(backend, GraphName.TIMESTEPS, manifest)
        )
    if backend.provider is Provider.OPENVINO:
        try:
            from samuel_runtime.engines import openvino
        except ImportError:
            return f"OpenVINO is not installed; add it with `{_INSTALL_OPENVINO}`"
        return openvino.unavailable_reason(backend.precision)
    return _onnxruntime_unavailable(backend)


def backend_of_graph(backend: Backend, name: GraphName, manifest: Manifest) -> Backend:
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
    if backend.provider is Provider.TENSORRT:
        return Backend(Provider.CPU, typed)
    lowerable = name is GraphName.STEP or (name in (GraphName.ENCODER, GraphName.DECODER) and manifest.codec.lowerable)
    return Backend(backend.provider, backend.precision if lowerable and manifest.precision is Precision.FP32 else typed)


def chosen_backends(
    manifest: Manifest, provider: Provider, precision: Precision | None = None, remembered: Backend | None = None
) -> list[Backend]:
    """The backends that the options ask for, the first choice first; more than one only where the choice is left to us.

    Args:
        manifest: of the bundle.
        provider: AUTO leaves the choice to what is remembered, then to the order of :func:`backends_of`.
        precision: None is the remembered backend's with AUTO, else that of the files for the provider.
        remembered: what was measured as the fastest here.

    Raises:
        UserError: what is asked for cannot be tried here.
    """
    if provider is not Provider.AUTO:
        backend = Backend(provider, precision or _own(provider, manifest))
        if missing := unavailable_reason(backend, manifest):
            asked_for = f"`provider='{provider.value}'`" + (f" `precision='{precision.value}'`" if precision else "")
            raise UserError(f"{asked_for}: {missing}")
        return [backend]
    asked = [backend for backend in backends_of(manifest) if precision in (None, backend.precision)]
    if remembered in asked:
        asked.remove(remembered)
        asked.insert(0, remembered)
    found, reasons = [], []
    for backend in asked:
        if missing := unavailable_reason(backend, manifest):
            reasons.append(f"{backend}: {missing}")
            continue
        found.append(backend)
        if backend.provider is Provider.CPU:
            break  # nothing is tried after it, and to look at the others takes importing them
    if found:
        return found
    wanted = "" if precision is None else f"`precision='{precision.value}'`: "
    if not asked:
        own = manifest.precision.value
        raise UserError(f"{wanted}the bundle computes in {own}; use `precision='{own}'`, or export another")
    raise UserError(f"{wanted}nothing here can run the bundle; {'; '.join(reasons[:2])}")


def _onnxruntime_unavailable(backend: Backend) -> str:
    try:
        from samuel_runtime.engines import onnxruntime
    except ImportError:
        return f"ONNX Runtime is not installed; add it with `{_INSTALL_CPU}`"
    return onnxruntime.unavailable_reason(backend)


def _own(provider: Provider, manifest: Manifest) -> Precision:
    """What the bundle's files for a provider are typed in."""
    if provider is not Provider.TENSORRT:
        return manifest.precision
    return Precision.FP16 if manifest.engines is None else manifest.engines.precision
