"""Write a bundle: graphs, manifest, proof. It exists whole and proven, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
from pydantic import ValidationError

from samuel_export import denoiser_graphs
from samuel_export.codec_graphs import decoder_graph, encoder_graph
from samuel_export.parity import Comparison, check_fingerprints, check_sides, report_of
from samuel_export.probes import probes
from samuel_export.sides import RuntimeSide, TorchSide
from samuel_export.storage import Storage, stored
from samuel_runtime.bundle import Bundle
from samuel_runtime.choices import Provider
from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing_dir
from samuel_runtime.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    CodecFacts,
    GraphFacts,
    GraphName,
    Manifest,
    ModelFacts,
    Precision,
    TensorFacts,
)
from samuel_runtime.pipeline import Samuel
from samuel_runtime.structure import structural_faults
from samuel_train.checkpoint import Checkpoint
from samuel_train.codec import Codec, decoder_context_frames, encoder_context_frames
from samuel_train.model import FRAMES_MULTIPLE, Denoiser

WINDOW_FRAMES = 1024
"""A full window, 47.5 s: the length of the published data set's songs."""
GUIDANCE = 3.0
"""The paper's classifier-free guidance scale."""
_CHUNK_FRAMES = 128

Say = Callable[[str], None]


class ParityError(Exception):
    """The graphs do not compute what the model computes: a defect, not the user's to mend."""


def write_bundle(checkpoint: Checkpoint, codec: Codec, out: Path, storage: Storage, guidance: float, say: Say) -> Path:
    """Export a checkpoint and its codec to a bundle folder, proven equal.

    Args:
        checkpoint: the denoiser.
        codec: the codec whose latents it was trained on.
        out: the bundle's folder; an existing bundle is replaced when the new one is proven.
        storage: format of the weights.
        guidance: the bundle's default guidance scale.
        say: takes lines of progress.

    Raises:
        UserError: the codec does not fit the checkpoint, a bundle cannot hold them, or ``out`` is something else.
        ParityError: the report fails; no bundle is left.
    """
    if codec.facts.latent_channels != checkpoint.config.latent_channels:
        raise UserError(
            f"the codec has {codec.facts.latent_channels} latent channels, the checkpoint "
            f"{checkpoint.config.latent_channels}; name the codec it was trained with, with --codec"
        )
    if out.exists() and not (out / MANIFEST_NAME).is_file():
        raise UserError(f"{out}: exists and is not a bundle; choose another folder with -o")
    model_facts, codec_facts = _facts(checkpoint, codec, guidance)
    model = checkpoint.build()
    with replacing_dir(out) as folder:
        graphs = {name: _write_graph(folder, name, graph, storage, say) for name, graph in _graphs(model, codec)}
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            model=model_facts,
            codec=codec_facts,
            graphs=graphs,
            parity={},
            provenance={**checkpoint.provenance, "codec": codec.provenance, "codec_licence": codec.licence,
                        "storage": storage.value},
        )  # fmt: skip
        if faults := list(structural_faults(manifest)):
            raise ParityError(f"the exported graphs do not fit each other; no bundle was written: {'; '.join(faults)}")
        _write_manifest(folder, manifest)
        comparisons = _prove(folder, TorchSide(model, codec, checkpoint.statistics), storage, say)
        report = report_of(comparisons)
        if not report["passed"]:
            failed = "; ".join(one.line() for one in comparisons if not one.passed)
            raise ParityError(f"the exported graphs differ from the model, so no bundle was written: {failed}")
        _write_manifest(folder, manifest.model_copy(update={"parity": report}))
    return out


def verify_bundle(folder: Path, say: Say, reference: tuple[Checkpoint, Codec] | None = None) -> bool:
    """Repeat the parity report of a bundle: against the model where it is given, else against its fingerprints.

    Raises:
        UserError: the bundle is not in order.
    """
    manifest = Bundle.open(folder).manifest
    try:
        storage = Storage(manifest.provenance.get("storage", Storage.FP32.value))
    except ValueError as error:
        raise UserError(f"{folder / MANIFEST_NAME}: {error}; export the bundle again") from error
    if reference is not None:
        checkpoint, codec = reference
        differing = _differing_facts(manifest, *_facts(checkpoint, codec, manifest.model.guidance))
        if differing:  # both sides of a probe take these from the manifest, so no probe would show it
            say(f"FAIL facts that are not the model's: {', '.join(differing)}")
            return False
        comparisons = _prove(folder, TorchSide(checkpoint.build(), codec, checkpoint.statistics), storage, say)
    else:
        side = RuntimeSide(Samuel.load(folder, Provider.CPU))
        wanted = probes(manifest.model, manifest.codec, manifest.statistics, storage)
        comparisons = check_fingerprints(wanted, side, manifest.parity)
        for one in comparisons:
            say(one.line())
    return all(one.passed for one in comparisons)


def _graphs(model: Denoiser, codec: Codec) -> Iterator[tuple[GraphName, onnx.ModelProto]]:
    yield GraphName.ENCODER, encoder_graph(codec)
    yield GraphName.CONDITIONING, denoiser_graphs.conditioning_graph(model)
    yield GraphName.TIMESTEPS, denoiser_graphs.timesteps_graph(model)
    yield GraphName.STEP, denoiser_graphs.step_graph(model)
    yield GraphName.DECODER, decoder_graph(codec)


def _write_graph(folder: Path, name: GraphName, graph: onnx.ModelProto, storage: Storage, say: Say) -> GraphFacts:
    onnx.helper.set_model_props(graph, {"samuel.graph": name.value, "samuel.schema": str(SCHEMA_VERSION)})
    data = stored(graph, storage).SerializeToString()
    path = folder / f"{name.value}.onnx"
    path.write_bytes(data)
    say(f"wrote {path.name}: {len(data) / 1e6:.1f} MB, {len(graph.graph.node)} nodes")
    return GraphFacts(
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        precision=Precision.FP32,
        inputs=tuple(_tensor_facts(value) for value in graph.graph.input),
        outputs=tuple(_tensor_facts(value) for value in graph.graph.output),
    )


def _tensor_facts(value: onnx.ValueInfoProto) -> TensorFacts:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return TensorFacts(name=value.name, dtype=dtype, shape=tuple(d.dim_param or d.dim_value for d in tensor.shape.dim))


def _facts(checkpoint: Checkpoint, codec: Codec, guidance: float) -> tuple[ModelFacts, CodecFacts]:
    try:
        return _model_facts(checkpoint, guidance), _codec_facts(codec)
    except ValidationError as error:
        first = error.errors()[0]
        what = " ".join([error.title, *map(str, first["loc"])])
        raise UserError(f"{what}: {first['msg']}; a bundle needs a checkpoint and codec within these bounds") from error


def _differing_facts(manifest: Manifest, model: ModelFacts, codec: CodecFacts) -> list[str]:
    """Names of the facts in which a manifest differs, but for the sizes that are the exporter's choice."""
    pairs = ((manifest.model, model), (manifest.codec, codec))
    differing = [name for said, true in pairs for name, value in true if getattr(said, name) != value]
    return [name for name in differing if name not in ("frames", "chunk_frames")]


def _model_facts(checkpoint: Checkpoint, guidance: float) -> ModelFacts:
    config = checkpoint.config
    return ModelFacts(
        prediction=config.prediction,
        timesteps=config.timesteps,
        latent_channels=config.latent_channels,
        frames=WINDOW_FRAMES,
        frames_min=checkpoint.frames_min,
        frames_multiple=FRAMES_MULTIPLE,
        guidance=guidance,
        statistics=checkpoint.statistics.to_dict(),
    )


def _codec_facts(codec: Codec) -> CodecFacts:
    facts = codec.facts
    return CodecFacts(
        sample_rate_hz=facts.sample_rate_hz,
        hop_samples=facts.hop_samples,
        channels=facts.channels,
        encoder_context_frames=max(encoder_context_frames(codec)),
        decoder_context_frames=max(decoder_context_frames(codec)),
        chunk_frames=_CHUNK_FRAMES,
    )


def _prove(folder: Path, expected: TorchSide, storage: Storage, say: Say) -> list[Comparison]:
    samuel = Samuel.load(folder, Provider.CPU)
    manifest = samuel.manifest
    wanted = probes(manifest.model, manifest.codec, manifest.statistics, storage)
    comparisons = check_sides(wanted, RuntimeSide(samuel), expected)
    for one in comparisons:
        say(one.line())
    return comparisons


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
