"""Replace the decoder of a bundle by that of a codec with the same encoder.

Latents and denoiser do not change. The new bundle passes the same parity check as any other: denoiser and encoder
against the old bundle, the decoder against PyTorch.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samuel_export.estimator import ESTIMATORS
from samuel_export.graphs.codec import decoder_graph
from samuel_export.metadata import codec_facts_of
from samuel_export.parity.cases import test_signal
from samuel_export.parity.check import Say, bundle_cases, compare_lowered, load_bundle, report_lines
from samuel_export.parity.compare import ParityError, build_report, compare_runners
from samuel_export.parity.runners import RuntimeRunner, TorchCodecRunner
from samuel_export.precision.weights import WeightFormat
from samuel_export.written import write_graph, write_manifest
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import SCHEMA_VERSION, GraphName
from samuel_runtime.errors import UserError
from samuel_runtime.files import recover_dir, replacing_dir
from samuel_runtime.settings import DEFAULT_STEPS
from samuel_train.codec import Codec

_SAME_ENCODER = 1e-2
"""Relative L2 of latents: an encoder whose weights and tables are in half precision is 2e-3 from itself."""


def replace_decoder(folder: Path, codec: Codec, out: Path, say: Say) -> Path:
    """Write the bundle with the codec's decoder in place of its own, and check it.

    Args:
        folder: of the bundle; its engines hold the old decoder and are left out.
        codec: whose encoder is the bundle's.
        out: folder of the new bundle, which may be ``folder``.
        say: called with each line of progress.

    Raises:
        UserError: the bundle is not in order, or the codec's encoder is another.
        ParityError: the new graph does not compute what PyTorch does; nothing is written.
    """
    recover_dir(folder)
    bundle = Bundle.open(folder)
    manifest = bundle.manifest
    old = RuntimeRunner(load_bundle(folder))
    new = TorchCodecRunner(codec, manifest.statistics)
    _check_encoder(bundle, old, new)
    weight_format = WeightFormat(manifest.provenance.get("storage", WeightFormat.FP32.value))
    precision = manifest.graphs[GraphName.DECODER].precision
    with replacing_dir(out) as whole:
        for facts in (facts for name, facts in manifest.graphs.items() if name is not GraphName.DECODER):
            shutil.copy(folder / facts.file, whole / facts.file)
        decoder = write_graph(whole, GraphName.DECODER, decoder_graph(codec), say, precision, weight_format)
        context = {"encoder_context_frames": manifest.codec.encoder_context_frames}
        replaced = manifest.model_copy(
            update={
                "schema_version": SCHEMA_VERSION,
                "codec": codec_facts_of(codec).model_copy(update=context),
                "graphs": {**manifest.graphs, GraphName.DECODER: decoder},
                "engines": None,
                "provenance": {**manifest.provenance, "codec": codec.provenance},
            }
        )
        write_manifest(whole, replaced)
        cases = bundle_cases(whole, replaced, DEFAULT_STEPS)
        comparisons = report_lines(
            compare_runners(cases, RuntimeRunner(load_bundle(whole)), _MixedRunner(old, new)), say
        )
        report = build_report(comparisons, DEFAULT_STEPS)
        report["reference"] = "the bundle before, up to the latents; PyTorch, float32, from there"
        if not report["passed"]:
            failed = "; ".join(one.line() for one in comparisons if not one.passed)
            raise ParityError(f"the exported decoder differs from the model, so no bundle was written: {failed}")
        report["lowered"] = compare_lowered(whole, say)
        report |= {name: manifest.parity[name] for name in ESTIMATORS if name in manifest.parity}  # they stay
        write_manifest(whole, replaced.model_copy(update={"parity": report}))
    return out


@dataclass(frozen=True, eq=False)
class _MixedRunner:
    """A :class:`ParityRunner` of the old bundle up to the latents, and of PyTorch from there."""

    old: RuntimeRunner
    new: TorchCodecRunner

    def network(
        self, x: np.ndarray, vocals: np.ndarray, t: list[int], guidance: float, sheet: np.ndarray | None = None
    ) -> np.ndarray:
        return self.old.network(x, vocals, t, guidance, sheet)

    def encode(self, waveform: np.ndarray) -> np.ndarray:
        return self.old.encode(waveform)

    def decoder_output(self, latents: np.ndarray) -> np.ndarray:
        return self.new.decoder_output(latents)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        return self.new.decode(latents)


def _check_encoder(bundle: Bundle, old: RuntimeRunner, new: TorchCodecRunner) -> None:
    facts, theirs = bundle.manifest.codec, new.codec.facts
    waveform = test_signal(facts)
    if (facts.sample_rate_hz, facts.hop_samples, facts.channels) == (
        theirs.sample_rate_hz,
        theirs.hop_samples,
        theirs.channels,
    ) and bundle.manifest.model.latent_channels == theirs.latent_channels:
        expected, found = old.encode(waveform), new.encode(waveform)
        if np.linalg.norm(found - expected) <= _SAME_ENCODER * np.linalg.norm(expected):
            return
    raise UserError(
        f"{bundle.folder}: has another encoder than the codec, whose decoder would not understand its latents; "
        "refine the codec that the bundle was made with"
    )
