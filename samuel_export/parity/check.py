"""Run a written bundle and compare it with the model, or with the fingerprints in its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from samuel_export.parity.cases import ParityCase, parity_cases
from samuel_export.parity.compare import Comparison, compare_fingerprints, compare_runners
from samuel_export.parity.limits import limits_of
from samuel_export.parity.runners import RuntimeRunner, TorchRunner
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.bundle.manifest import MANIFEST_NAME, Manifest
from samuel_runtime.engines.availability import chosen_backends, probe_backends
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_STEPS, Provider
from samuel_runtime.tuning.agreement import compare, generated_sample

Say = Callable[[str], None]


def check_against_model(folder: Path, expected: TorchRunner, steps: int, say: Say) -> list[Comparison]:
    """Run every case on the bundle and in PyTorch, and compare.

    Args:
        folder: of the bundle.
        expected: the reference.
        steps: sampling steps of the trajectory case.
        say: called with a line for each case.

    Raises:
        UserError: nothing on this machine computes in the bundle's precision.
    """
    samuel = load_bundle(folder)
    return report_lines(
        compare_runners(bundle_cases(folder, samuel.manifest, steps), RuntimeRunner(samuel), expected), say
    )


def check_against_fingerprints(folder: Path, say: Say) -> list[Comparison]:
    """Run every case on the bundle alone, and compare with the report in its manifest.

    Raises:
        UserError: as :func:`check_against_model`, or the report is not one.
    """
    samuel = load_bundle(folder)
    report = samuel.manifest.parity
    wanted = bundle_cases(folder, samuel.manifest, trajectory_steps(report))
    return report_lines(compare_fingerprints(wanted, RuntimeRunner(samuel), report), say)


def compare_lowered(folder: Path, say: Say) -> dict[str, dict[str, Any]]:
    """Compare the bundle in lower precision with the bundle in its own, for every such backend of this machine.

    For information only: on a user's machine `samuel-run --doctor` measures it again. One that overflows, as trained
    networks may in half precision, is no fault of the bundle's.
    """
    manifest = Manifest.read(folder)
    backends = [found.backend for found in probe_backends(manifest) if not found.missing]
    others = [backend for backend in backends if backend.precision is not manifest.precision]
    if not others:
        return {}
    agreements: dict[str, dict[str, Any]] = {}
    reference = generated_sample(load_bundle(folder))
    for backend in others:
        try:
            found = compare(generated_sample(_opened(folder, backend)), reference)
        except UserError as error:
            say(f"{backend} does not agree: {error}")
            agreements[str(backend)] = {"passed": False, "reason": str(error)}
            continue
        verdict = "agrees" if found.passed else "does not agree"
        say(f"{backend} {verdict}: latents {found.latent_snr_db:.0f} dB, log-mel distance {found.log_mel:.3f}")
        agreements[str(backend)] = found.to_dict()
    return agreements


def trajectory_steps(report: dict[str, Any]) -> int:
    """Sampling steps of a report's trajectory case.

    Raises:
        UserError: the report does not say.
    """
    steps = report.get("steps", DEFAULT_STEPS)
    if not isinstance(steps, int) or steps < 1:
        raise UserError(f"the bundle's parity report is damaged (steps: {steps!r}); export the bundle again")
    return steps


def load_bundle(folder: Path) -> Samuel:
    """Load a bundle in its own precision, in ONNX Runtime on the CPU where that is possible."""
    manifest = Manifest.read(folder)
    return _opened(folder, chosen_backends(manifest, Provider.AUTO, manifest.precision)[0])


def _opened(folder: Path, backend: Backend) -> Samuel:
    return Samuel.load(folder, backend.provider, precision=backend.precision)


def bundle_cases(folder: Path, manifest: Manifest, steps: int) -> list[ParityCase]:
    """All cases of a bundle, with the limits of its precision and weight format.

    Raises:
        UserError: the manifest does not say how weights are stored.
    """
    try:
        weight_format = WeightFormat(manifest.provenance.get("storage", WeightFormat.FP32.value))
    except ValueError as error:
        raise UserError(f"{folder / MANIFEST_NAME}: {error}; export the bundle again") from error
    limits = limits_of(manifest.precision, weight_format)
    return list(parity_cases(manifest.model, manifest.codec, manifest.statistics, limits, steps))


def report_lines(comparisons: list[Comparison], say: Say) -> list[Comparison]:
    """Report a line for each comparison; returns the comparisons."""
    for one in comparisons:
        say(one.line())
    return comparisons
