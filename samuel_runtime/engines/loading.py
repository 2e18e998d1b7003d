"""From a bundle and a backend to the parts that run it: the codec and the denoiser, their graphs or engines open."""

from __future__ import annotations

import numpy as np

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.codec import Codec, CodecEngines
from samuel_runtime.diffusion.denoiser import Denoiser, DenoiserBackend
from samuel_runtime.engines.availability import backend_of_graph
from samuel_runtime.engines.backend import Backend, Engine
from samuel_runtime.engines.processors import threads_for
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chord_estimator import ChordEstimator
from samuel_runtime.leadsheet.estimator import Estimator
from samuel_runtime.settings import Precision, Provider

_TOGETHER_BYTES = 100 << 20
"""The most that a codec's two graphs may hold to be open at once; in use they take some three times as much."""


def open_parts(bundle: Bundle, backend: Backend, threads: int | None) -> tuple[Codec, DenoiserBackend]:
    """Open everything in a bundle.

    Args:
        bundle: checked.
        backend: how it shall run.
        threads: CPU threads; None is one per physical core.

    Raises:
        UserError: a file is not in order, or an engine refuses it.
    """
    if backend.provider is Provider.TENSORRT:
        return _on_device(bundle, backend, threads)
    manifest = bundle.manifest

    def engine(name: GraphName) -> Engine:
        return _graph(bundle, name, backend, threads)

    graphs = (GraphName.ENCODER, GraphName.DECODER)
    together = sum(manifest.graphs[name].size_bytes for name in graphs) <= _TOGETHER_BYTES
    for name in () if together else graphs:
        bundle.read_graph(name)  # what is wrong with a file is said before any work, not when it is needed
    codec = Codec(CodecEngines(engine, together=together), manifest.codec, manifest.statistics)
    conditioning, timesteps = engine(GraphName.CONDITIONING), engine(GraphName.TIMESTEPS)
    return codec, Denoiser(conditioning, timesteps, engine(GraphName.STEP), manifest.model)


def open_estimator(bundle: Bundle, backend: Backend, threads: int | None) -> Estimator:
    """Open what hears a melody's beats, chords and key; beside TensorRT's engines it runs on the processor.

    Raises:
        UserError: the bundle has none, its file is not in order, or the engine refuses it.
    """
    if GraphName.ESTIMATOR not in bundle.manifest.graphs:
        raise UserError(
            f"{bundle.folder}: has no estimator, which hears beats and chords in a voice; add one with "
            f"`samuel-export {bundle.folder} --estimator FILE`"
        )
    return Estimator(_graph(bundle, GraphName.ESTIMATOR, backend, threads))


def open_chord_estimator(bundle: Bundle, backend: Backend, threads: int | None) -> ChordEstimator | None:
    """Open what hears chords and key on the beats, in the same way; None if the bundle has none.

    Raises:
        UserError: its file is not in order, or the engine refuses it.
    """
    if GraphName.CHORDS not in bundle.manifest.graphs:
        return None
    return ChordEstimator(_graph(bundle, GraphName.CHORDS, backend, threads))


def open_engine(
    model: bytes, name: str, backend: Backend, threads: int | None = None, typed: Precision = Precision.FP32
) -> Engine:
    """Load a whole, checked graph.

    Args:
        model: an ONNX file.
        name: what to call it in messages.
        backend: how to run it.
        threads: of one operator, at most the processors that the process may use; None is one per physical core.
        typed: the precision that the graph is typed in.

    Raises:
        UserError: the engine refuses the graph, or does not start.
    """
    threads = threads_for(threads)
    # A backend is imported when it is used: each takes a tenth of a second, and none is needed for the others.
    if backend.provider is Provider.OPENVINO:
        from samuel_runtime.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(model, name, backend, threads, typed=typed)
    from samuel_runtime.engines.onnxruntime import OnnxEngine

    return OnnxEngine(model, name, backend, threads)  # refuses every provider that is not ONNX Runtime's


def _on_device(bundle: Bundle, backend: Backend, threads: int | None) -> tuple[Codec, DenoiserBackend]:
    # Imported here: with other backends none of this is needed.
    from samuel_runtime.engines.tensorrt.cuda_graph_sampler import CudaGraphSampler
    from samuel_runtime.engines.tensorrt.denoiser import DeviceDenoiser
    from samuel_runtime.engines.tensorrt.device import Device
    from samuel_runtime.engines.tensorrt.engine import TensorRtEngine

    manifest = bundle.manifest
    if manifest.engines is None:
        raise UserError(f"{bundle.folder}: has no TensorRT engines; add them with `samuel-export --trt BUNDLE`")
    device, files = Device(manifest.engines), manifest.engines.files

    def engine(name: GraphName) -> TensorRtEngine:
        return device.open(files[name], bundle.read_engine(files[name]), str(bundle.folder / files[name].file))

    codec = Codec(CodecEngines(engine, together=True), manifest.codec, manifest.statistics)
    timesteps = _graph(bundle, GraphName.TIMESTEPS, backend, threads)
    conditioning, step = engine(GraphName.CONDITIONING), engine(GraphName.STEP)

    def capture(terms: list[dict[str, np.ndarray]], shape: tuple[int, int, int], noisy: bool) -> CudaGraphSampler:
        sheet_channels = manifest.model.sheet_channels
        with device.cuda.lock:
            return CudaGraphSampler(
                device.cuda, conditioning, step, shape, terms, noisy=noisy, sheet_channels=sheet_channels
            )

    return codec, DeviceDenoiser(timesteps, manifest.model, backend, capture)


def _graph(bundle: Bundle, name: GraphName, backend: Backend, threads: int | None) -> Engine:
    facts = bundle.manifest.graphs[name]
    file = str(bundle.folder / facts.file)
    of_graph = backend_of_graph(backend, name, bundle.manifest)
    found = open_engine(bundle.read_graph(name), file, of_graph, threads, facts.precision)
    said = {t.name for t in facts.inputs}, tuple(t.name for t in facts.outputs)
    if (found.inputs, found.outputs) != said:
        raise UserError(f"{file}: has other inputs or outputs than its manifest says; export the bundle again")
    return found
