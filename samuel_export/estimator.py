"""Add estimators to a bundle, and check that they compute what PyTorch does; the other graphs stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from samuel_export.written import rewritten, write_graph, write_manifest
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import SCHEMA_VERSION, GraphFacts, GraphName, Manifest
from samuel_runtime.engines.backend import Backend, Engine
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES, HARMONY_SIZES, MOMENT_CHANNELS, PITCH_CHANNELS
from samuel_runtime.melody import MELODY_CHANNELS
from samuel_runtime.settings import Precision, Provider
from samuel_train.listen.checkpoint import EstimatorCheckpoint

_ON_CPU = Backend(Provider.CPU, Precision.FP32)


@dataclass(frozen=True)
class _Part:
    """One of the graphs that hear, and what it is tried with."""

    graph: Callable[[Any], onnx.ModelProto]
    inputs: dict[str, tuple[int, ...]]
    """Sizes between the batch and the steps."""
    outputs: tuple[str, ...]
    steps: tuple[int, ...]
    weights: WeightFormat
    limit: float
    """Of the relative L2 distance of its probabilities."""


_PARTS = {
    GraphName.ESTIMATOR: _Part(
        estimator_graph,
        {"melody": (MELODY_CHANNELS,)},
        tuple(ACTIVATION_SIZES),
        (64, 2048),
        WeightFormat.FP16,  # half its file, for up to 6e-4
        1e-3,
    ),
    GraphName.CHORDS: _Part(
        chord_graph,
        {"pitches": (PITCH_CHANNELS, 12), "moments": (MOMENT_CHANNELS,)},
        tuple(HARMONY_SIZES),
        (16, 400),
        WeightFormat.FP32,  # in half precision it would be 1.4e-3 from itself, on noise
        1e-4,
    ),
}
ESTIMATORS = tuple(name.value for name in _PARTS)
"""Their entries of the parity report and of the provenance."""


def add_estimators(folder: Path, given: Sequence[EstimatorCheckpoint | Path], out: Path, say: Say) -> Path:
    """Write the bundle with these estimators, in place of its own of their kinds if it has some.

    Args:
        folder: of the bundle; its engines stay.
        given: checkpoints, of either kind, and folders of other bundles, whose estimators compute what their reports
            say. Of several of one kind the last is taken.
        out: folder of the new bundle, which may be ``folder``.
        say: called with each line of progress.

    Raises:
        UserError: a bundle is not in order, another one has no estimator, or ``out`` is something else.
        ParityError: an estimator does not compute what PyTorch does, or its report says; nothing is written.
    """
    with rewritten(folder, out) as (whole, manifest):
        for each in given:
            entries = _taken(whole, each, say) if isinstance(each, Path) else _exported(whole, each, say)
            manifest = _with_entries(manifest, entries)
        write_manifest(whole, manifest)
    return out


@dataclass(frozen=True)
class _Entry:
    """What a manifest says of one of them."""

    facts: GraphFacts
    report: Any
    provenance: str


def _exported(whole: Path, checkpoint: EstimatorCheckpoint, say: Say) -> dict[GraphName, _Entry]:
    """A checkpoint as a graph in the bundle's folder."""
    network, name = checkpoint.build(), checkpoint.part.graph
    part = _PARTS[name]
    facts = write_graph(whole, name, part.graph(network), say, weight_format=part.weights)
    engine = open_engine((whole / facts.file).read_bytes(), facts.file, _ON_CPU, 1)
    comparisons = []
    for case, inputs, outputs in _cases(name, engine):
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).probabilities()
        comparisons += [
            compare(f"{name.value} {output} {case}", actual, expected[output].numpy(), part.limit)
            for output, actual in outputs.items()
        ]
    _pass(report_lines(comparisons, say))
    report = {"passed": True, "probes": [{**asdict(one), "measure": one.measure.value} for one in comparisons]}
    return {name: _Entry(facts, report, "; ".join(checkpoint.provenance.values()))}


def _taken(whole: Path, source: Path, say: Say) -> dict[GraphName, _Entry]:
    """The estimators of another bundle, copied into the bundle's folder."""
    given = Bundle.open(source)
    kept = given.manifest
    names = [name for name in _PARTS if name in kept.graphs]
    if not names:
        raise UserError(f"{source}: has no estimator; name another bundle, or what `samuel-train listen` wrote")
    _pass(check_estimators(given, say))
    for name in names:
        file = whole / kept.graphs[name].file
        file.unlink(missing_ok=True)  # it may be a link
        file.write_bytes(given.read_graph(name))
    return {
        name: _Entry(kept.graphs[name], kept.parity[name.value], str(kept.provenance.get(name.value, "")))
        for name in names
    }


def check_estimators(bundle: Bundle, say: Say) -> list[Comparison]:
    """Compare a bundle's estimators with the fingerprints in their reports; nothing if it has none.

    Raises:
        UserError: a file or a report is not in order.
    """
    comparisons = []
    for name in (name for name in _PARTS if name in bundle.manifest.graphs):
        kept, limit = fingerprints_of(bundle.manifest.parity.get(name.value, {})), _PARTS[name].limit
        engine = open_engine(bundle.read_graph(name), f"the bundle's {name.value}", _ON_CPU, 1)
        for case, _, outputs in _cases(name, engine):
            probes = {f"{name.value} {output} {case}": actual for output, actual in outputs.items()}
            comparisons += [compare_fingerprint(probe, got, kept.get(probe), limit) for probe, got in probes.items()]
    return report_lines(comparisons, say)


def _pass(comparisons: list[Comparison]) -> None:
    if failed := [one.line() for one in comparisons if not one.passed]:
        raise ParityError(
            f"the exported estimator differs from the model, so no bundle was written: {'; '.join(failed)}"
        )


def _with_entries(manifest: Manifest, entries: dict[GraphName, _Entry]) -> Manifest:
    update = {
        "schema_version": SCHEMA_VERSION,
        "graphs": {**manifest.graphs, **{name: entry.facts for name, entry in entries.items()}},
        "parity": {**manifest.parity, **{name.value: entry.report for name, entry in entries.items()}},
        "provenance": {**manifest.provenance, **{name.value: entry.provenance for name, entry in entries.items()}},
    }
    return manifest.model_copy(update=update)


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
