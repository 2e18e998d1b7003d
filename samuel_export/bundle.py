"""Write a bundle: graphs, manifest and parity report. A bundle whose report fails is never left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from samuel_export import flops
from samuel_export.estimator import check_estimators
from samuel_export.graphs import denoiser as denoiser_graphs
from samuel_export.graphs.codec import decoder_graph, encoder_graph
from samuel_export.metadata import differing_facts, facts_of
from samuel_export.parity import check
from samuel_export.parity.check import Say
from samuel_export.parity.compare import ParityError, build_report
from samuel_export.parity.runners import TorchRunner
from samuel_export.precision.weights import WeightFormat
from samuel_export.tensorrt.parity import verify_engines
from samuel_export.written import check_replaceable, write_graph, write_manifest
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import SCHEMA_VERSION, GraphName, Manifest
from samuel_runtime.bundle.structure import structural_faults
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.errors import UserError
from samuel_runtime.files import recover_dir, replacing_dir
from samuel_runtime.settings import DEFAULT_STEPS, Precision
from samuel_train.codec import Codec
from samuel_train.model.checkpoint import Checkpoint
from samuel_train.model.denoiser import Denoiser

_ALWAYS_FP32 = frozenset({GraphName.TIMESTEPS})
"""The timesteps graph runs once per schedule and costs nothing, and an error in it reaches every step."""


def write_bundle(
    checkpoint: Checkpoint,
    codec: Codec,
    out: Path,
    weight_format: WeightFormat,
    guidance: Guidance,
    say: Say,
    precision: Precision = Precision.FP32,
) -> Path:
    """Export a checkpoint and its codec to a bundle folder, and check that it computes what they do.

    Args:
        checkpoint: the denoiser.
        codec: the codec whose latents it was trained on.
        out: the bundle's folder; an existing bundle is replaced once the new one has passed its parity check.
        weight_format: format of the weights in the files; only where the arithmetic is float32.
        guidance: default of the bundle.
        say: called with each line of progress.
        precision: of the arithmetic.

    Raises:
        UserError: the codec does not fit the checkpoint, a bundle cannot hold them, ``out`` is something else, or
            nothing on this machine computes in the precision.
        ParityError: the report fails; no bundle is left.
    """
    if codec.facts.latent_channels != checkpoint.config.latent_channels:
        raise UserError(
            f"the codec has {codec.facts.latent_channels} latent channels, the checkpoint "
            f"{checkpoint.config.latent_channels}; name the codec it was trained with, with --codec"
        )
    recover_dir(out)
    check_replaceable(out)
    model_facts, codec_facts = facts_of(checkpoint, codec, guidance)
    model = checkpoint.build()
    with replacing_dir(out) as folder:
        written = dict(_graphs(model, codec, weight_format))
        before, after = flops.of_guided_step(model, written, model_facts.frames)
        say(f"a guided step: {before / 1e9:.2f} GFLOP as two calls of the model, {after / 1e9:.2f} as exported")
        graphs = {}
        for name, graph in written.items():
            arithmetic = Precision.FP32 if name in _ALWAYS_FP32 else precision
            graphs[name] = write_graph(folder, name, graph, say, arithmetic, weight_format)
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            model=model_facts,
            codec=codec_facts,
            graphs=graphs,
            parity={},
            provenance={**checkpoint.provenance, "codec": codec.provenance, "codec_licence": codec.licence,
                        "storage": weight_format.value},
        )  # fmt: skip
        if faults := list(structural_faults(manifest)):
            raise ParityError(f"the exported graphs do not fit each other; no bundle was written: {'; '.join(faults)}")
        write_manifest(folder, manifest)
        reference = TorchRunner(codec, checkpoint.statistics, model)
        comparisons = check.check_against_model(folder, reference, DEFAULT_STEPS, say)
        report = build_report(comparisons, DEFAULT_STEPS)
        if not report["passed"]:
            failed = "; ".join(one.line() for one in comparisons if not one.passed)
            raise ParityError(f"the exported graphs differ from the model, so no bundle was written: {failed}")
        report["lowered"] = check.compare_lowered(folder, say)
        write_manifest(folder, manifest.model_copy(update={"parity": report}))
    return out


def verify_bundle(folder: Path, say: Say, reference: tuple[Checkpoint, Codec] | None = None) -> bool:
    """Repeat the parity check of a bundle: against the model where it is given, else against the stored fingerprints.

    Raises:
        UserError: the bundle is not in order, or nothing on this machine computes in its precision.
    """
    manifest = Bundle.open(folder).manifest
    if reference is not None:
        checkpoint, codec = reference
        differing = differing_facts(manifest, *facts_of(checkpoint, codec, manifest.model.guided()))
        if differing:  # both runners take these from the manifest, so no case would fail
            say(f"FAIL facts that are not the model's: {', '.join(differing)}")
            return False
        runner = TorchRunner(codec, checkpoint.statistics, checkpoint.build())
        comparisons = check.check_against_model(folder, runner, check.trajectory_steps(manifest.parity), say)
    else:
        comparisons = check.check_against_fingerprints(folder, say)
    comparisons += check_estimators(Bundle.open(folder), say)
    passed = all(one.passed for one in comparisons)
    if passed:
        check.compare_lowered(folder, say)
    return passed and verify_engines(Bundle.open(folder), say)


def _graphs(model: Denoiser, codec: Codec, weight_format: WeightFormat) -> Iterator[tuple[GraphName, onnx.ModelProto]]:
    yield GraphName.ENCODER, encoder_graph(codec)
    yield GraphName.CONDITIONING, denoiser_graphs.conditioning_graph(model)
    yield GraphName.TIMESTEPS, denoiser_graphs.timesteps_graph(model, weight_format.of_graph(GraphName.TIMESTEPS))
    yield GraphName.STEP, denoiser_graphs.step_graph(model)
    yield GraphName.DECODER, decoder_graph(codec)
