"""Add an estimator to a bundle, and check that it computes what PyTorch does; the other graphs stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samuel_export.graphs.estimator import estimator_graph
from samuel_export.parity.check import Say, report_lines
from samuel_export.parity.compare import (
    Comparison,
    ParityError,
    compare,
    compare_fingerprint,
    fingerprints_of,
)
from samuel_export.written import write_graph, write_manifest
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import MANIFEST_NAME, SCHEMA_VERSION, GraphFacts, GraphName, Manifest
from samuel_runtime.engines.backend import Backend, Engine
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.errors import UserError
from samuel_runtime.files import recover_dir, replacing_dir
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES
from samuel_runtime.melody import MELODY_CHANNELS
from samuel_runtime.settings import Precision, Provider
from samuel_train.listen.checkpoint import EstimatorCheckpoint

REPORT = "estimator"
"""Entry of the parity report."""
_FRAMES = (64, 2048)
_LIMIT = 1e-4  # relative L2 of probabilities; rounding alone is 1e-6
_ON_CPU = Backend(Provider.CPU, Precision.FP32)


def add_estimator(folder: Path, checkpoint: EstimatorCheckpoint, out: Path, say: Say) -> Path:
    """Write the bundle with this estimator, in place of its own if it has one.

    Args:
        folder: of the bundle; its engines stay.
        checkpoint: of the estimator.
        out: folder of the new bundle, which may be ``folder``.
        say: called with each line of progress.

    Raises:
        UserError: the bundle is not in order, or ``out`` is something else.
        ParityError: the graph does not compute what PyTorch does; nothing is written.
    """
    network = checkpoint.build()
    graph = estimator_graph(network)
    with _rewritten(folder, out) as (whole, manifest):
        facts = write_graph(whole, GraphName.ESTIMATOR, graph, say)
        engine = open_engine(graph.SerializeToString(), facts.file, _ON_CPU, 1)
        comparisons = []
        for name, melody, actual in _cases(engine):
            with torch.no_grad():
                expected = network(torch.from_numpy(melody)).probabilities()[name.split()[1]]
            comparisons.append(compare(name, actual, expected.numpy(), _LIMIT))
        _pass(report_lines(comparisons, say))
        report = {"passed": True, "probes": [{**asdict(one), "measure": one.measure.value} for one in comparisons]}
        _enter(whole, manifest, facts, report, "; ".join(checkpoint.provenance.values()))
    return out


def take_estimator(folder: Path, source: Path, out: Path, say: Say) -> Path:
    """Write the bundle with the estimator of another one, which computes what its report says.

    Args:
        folder: as for :func:`add_estimator`.
        source: folder of the other bundle.
        out: folder of the new bundle.
        say: called with each line of progress.

    Raises:
        UserError: a bundle is not in order, the other one has no estimator, or ``out`` is something else.
        ParityError: the estimator does not compute what its report says; nothing is written.
    """
    given = Bundle.open(source)
    if GraphName.ESTIMATOR not in given.manifest.graphs:
        raise UserError(f"{source}: has no estimator; name another bundle, or what `samuel-train listen` wrote")
    _pass(check_estimator(given, say))
    facts, kept = given.manifest.graphs[GraphName.ESTIMATOR], given.manifest
    with _rewritten(folder, out) as (whole, manifest):
        (whole / facts.file).unlink(missing_ok=True)  # it may be a link
        (whole / facts.file).write_bytes(given.read_graph(GraphName.ESTIMATOR))
        _enter(whole, manifest, facts, kept.parity[REPORT], str(kept.provenance.get(REPORT, "")))
    return out


def check_estimator(bundle: Bundle, say: Say) -> list[Comparison]:
    """Compare a bundle's estimator with the fingerprints in its report; nothing if it has none.

    Raises:
        UserError: the file or the report is not in order.
    """
    if GraphName.ESTIMATOR not in bundle.manifest.graphs:
        return []
    kept = fingerprints_of(bundle.manifest.parity.get(REPORT, {}))
    engine = open_engine(bundle.read_graph(GraphName.ESTIMATOR), "the bundle's estimator", _ON_CPU, 1)
    cases = _cases(engine)
    return report_lines([compare_fingerprint(name, actual, kept.get(name), _LIMIT) for name, _, actual in cases], say)


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


def _enter(whole: Path, manifest: Manifest, facts: GraphFacts, report: dict[str, Any], provenance: str) -> None:
    update = {
        "schema_version": SCHEMA_VERSION,
        "graphs": {**manifest.graphs, GraphName.ESTIMATOR: facts},
        "parity": {**manifest.parity, REPORT: report},
        "provenance": {**manifest.provenance, REPORT: provenance},
    }
    write_manifest(whole, manifest.model_copy(update=update))


def _cases(engine: Engine) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, input and result of every case: each output on short and long features drawn from a seed."""
    for frames in _FRAMES:
        generator = np.random.default_rng(frames)
        melody = generator.uniform(0, 1, (1, MELODY_CHANNELS, frames)).astype(np.float32)
        outputs = engine(melody=melody)
        for name in ACTIVATION_SIZES:
            yield f"estimator {name} frames={frames}", melody, outputs[name]
