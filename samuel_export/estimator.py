"""Add estimators to a bundle, and check that they compute what PyTorch does; the other graphs stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from samuel_export.graphs.chord_estimator import chord_graph
from samuel_export.graphs.estimator import estimator_graph
from samuel_export.parity.check import Say, report_lines
from samuel_export.parity.compare import (
    Comparison,
    ParityError,
    compare,
    compare_fingerprint,
    fingerprints_of,
)
from samuel_export.precision.weights import WeightFormat
from samuel_export.written import write_graph, write_manifest
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import MANIFEST_NAME, SCHEMA_VERSION, GraphFacts, GraphName, Manifest
from samuel_runtime.engines.backend import Backend, Engine
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.errors import UserError
from samuel_runtime.files import recover_dir, replacing_dir
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES, HARMONY_SIZES, MOMENT_CHANNELS, PITCH_CHANNELS
from samuel_runtime.melody import MELODY_CHANNELS
from samuel_runtime.settings import Precision, Provider
from samuel_train.listen.checkpoint import EstimatorCheckpoint

_LIMIT = 1e-3  # relative L2 of probabilities; weights in half precision cost up to 6e-4
_ON_CPU = Backend(Provider.CPU, Precision.FP32)


@dataclass(frozen=True)
class _Part:
    """One of the graphs that hear, and what it is tried with."""

    graph: Callable[[Any], onnx.ModelProto]
    inputs: dict[str, tuple[int, ...]]
    """Sizes between the batch and the steps."""
    outputs: tuple[str, ...]
    steps: tuple[int, ...]


_PARTS = {
    GraphName.ESTIMATOR: _Part(estimator_graph, {"melody": (MELODY_CHANNELS,)}, tuple(ACTIVATION_SIZES), (64, 2048)),
    GraphName.CHORDS: _Part(
        chord_graph,
        {"pitches": (PITCH_CHANNELS, 12), "moments": (MOMENT_CHANNELS,)},
        tuple(HARMONY_SIZES),
        (16, 400),
    ),
}
ESTIMATORS = tuple(name.value for name in _PARTS)
"""Their entries of the parity report and of the provenance."""


def add_estimator(folder: Path, checkpoint: EstimatorCheckpoint, out: Path, say: Say) -> Path:
    """Write the bundle with this estimator, in place of its own of that kind if it has one.

    Its weights are stored in half precision.

    Args:
        folder: of the bundle; its engines stay.
        checkpoint: of the estimator, or of that of chords.
        out: folder of the new bundle, which may be ``folder``.
        say: called with each line of progress.

    Raises:
        UserError: the bundle is not in order, or ``out`` is something else.
        ParityError: the graph does not compute what PyTorch does; nothing is written.
    """
    network, name = checkpoint.build(), checkpoint.part.graph
    with _rewritten(folder, out) as (whole, manifest):
        facts = write_graph(whole, name, _PARTS[name].graph(network), say, weight_format=WeightFormat.FP16)
        engine = open_engine((whole / facts.file).read_bytes(), facts.file, _ON_CPU, 1)
        comparisons = []
        for case, inputs, outputs in _cases(name, engine):
            with torch.no_grad():
                expected = network(*map(torch.from_numpy, inputs.values())).probabilities()
            comparisons += [
                compare(f"{name.value} {output} {case}", actual, expected[output].numpy(), _LIMIT)
                for output, actual in outputs.items()
            ]
        _pass(report_lines(comparisons, say))
        report = {"passed": True, "probes": [{**asdict(one), "measure": one.measure.value} for one in comparisons]}
        _enter(whole, manifest, {name: facts}, {name: report}, {name: "; ".join(checkpoint.provenance.values())})
    return out


def take_estimators(folder: Path, source: Path, out: Path, say: Say) -> Path:
    """Write the bundle with the estimators of another one, which compute what their reports say.

    Args:
        folder: as for :func:`add_estimator`.
        source: folder of the other bundle.
        out: folder of the new bundle.
        say: called with each line of progress.

    Raises:
        UserError: a bundle is not in order, the other one has no estimator, or ``out`` is something else.
        ParityError: an estimator does not compute what its report says; nothing is written.
    """
    given = Bundle.open(source)
    kept = given.manifest
    taken = [name for name in _PARTS if name in kept.graphs]
    if not taken:
        raise UserError(f"{source}: has no estimator; name another bundle, or what `samuel-train listen` wrote")
    _pass(check_estimators(given, say))
    with _rewritten(folder, out) as (whole, manifest):
        for name in taken:
            file = whole / kept.graphs[name].file
            file.unlink(missing_ok=True)  # it may be a link
            file.write_bytes(given.read_graph(name))
        _enter(
            whole,
            manifest,
            {name: kept.graphs[name] for name in taken},
            {name: kept.parity[name.value] for name in taken},
            {name: str(kept.provenance.get(name.value, "")) for name in taken},
        )
    return out


def check_estimators(bundle: Bundle, say: Say) -> list[Comparison]:
    """Compare a bundle's estimators with the fingerprints in their reports; nothing if it has none.

    Raises:
        UserError: a file or a report is not in order.
    """
    comparisons = []
    for name in (name for name in _PARTS if name in bundle.manifest.graphs):
        kept = fingerprints_of(bundle.manifest.parity.get(name.value, {}))
        engine = open_engine(bundle.read_graph(name), f"the bundle's {name.value}", _ON_CPU, 1)
        for case, _, outputs in _cases(name, engine):
            probes = {f"{name.value} {output} {case}": actual for output, actual in outputs.items()}
            comparisons += [compare_fingerprint(probe, got, kept.get(probe), _LIMIT) for probe, got in probes.items()]
    return report_lines(comparisons, say)


@contextmanager
def _rewritten(folder: Path, out: Path) -> Iterator[tuple[Path, Manifest]]:
    """A folder that becomes ``out``, with all files of the bundle but its manifest, and the manifest."""
    recover_dir(folder)
    manifest = Bundle.open(folder).manifest
    if out.exists() and not (out / MANIFEST_NAME).is_file():
        raise UserError(f"{out}: exists and is not a bundle; choose another folder with -o")
    with replacing_dir(out) as whole:
        shutil.copytree(folder, whole, symlinks=True, ignore=shutil.ignore_patterns(MANIFEST_NAME), dirs_exist_ok=True)
        yield whole, manifest


def _pass(comparisons: list[Comparison]) -> None:
    if failed := [one.line() for one in comparisons if not one.passed]:
        raise ParityError(
            f"the exported estimator differs from the model, so no bundle was written: {'; '.join(failed)}"
        )


def _enter(
    whole: Path,
    manifest: Manifest,
    facts: dict[GraphName, GraphFacts],
    reports: dict[GraphName, Any],
    provenance: dict[GraphName, str],
) -> None:
    update = {
        "schema_version": SCHEMA_VERSION,
        "graphs": {**manifest.graphs, **facts},
        "parity": {**manifest.parity, **{name.value: report for name, report in reports.items()}},
        "provenance": {**manifest.provenance, **{name.value: text for name, text in provenance.items()}},
    }
    write_manifest(whole, manifest.model_copy(update=update))


def _cases(name: GraphName, engine: Engine) -> Iterator[tuple[str, dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Every case: what it is called, its inputs, short and long and drawn from a seed, and the outputs."""
    part = _PARTS[name]
    unit = "frames" if name is GraphName.ESTIMATOR else "slots"
    for steps in part.steps:
        generator = np.random.default_rng(steps)
        inputs = {
            given: generator.uniform(0, 1, (1, *sizes, steps)).astype(np.float32)
            for given, sizes in part.inputs.items()
        }
        outputs = engine(**inputs)
        yield f"{unit}={steps}", inputs, {output: outputs[output] for output in part.outputs}
