"""Files of a bundle while it is made: its graphs and its manifest."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from samuel_export.metadata import tensor_facts
from samuel_export.parity.check import Say
from samuel_export.precision.convert import convert_precision
from samuel_export.precision.weights import WeightFormat, pack_weights
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import MANIFEST_NAME, SCHEMA_VERSION, GraphFacts, GraphName, Manifest
from samuel_runtime.errors import UserError
from samuel_runtime.files import recover_dir, replacing_dir
from samuel_runtime.settings import Precision


def write_graph(
    folder: Path,
    name: GraphName,
    graph: onnx.ModelProto,
    say: Say,
    precision: Precision = Precision.FP32,
    weight_format: WeightFormat = WeightFormat.FP32,
) -> GraphFacts:
    """Write a float32 graph into a bundle's folder.

    Args:
        folder: the bundle's.
        name: the graph's.
        graph: in float32, whole.
        say: called with a line about it.
        precision: what it is converted to.
        weight_format: of the weights of graphs that stay in float32.

    Returns:
        Its manifest entry.
    """
    if precision is Precision.FP32:
        stored = pack_weights(graph, weight_format.of_graph(name))
    else:
        stored = convert_precision(graph, precision)
    onnx.helper.set_model_props(stored, {"samuel.graph": name.value, "samuel.schema": str(SCHEMA_VERSION)})
    data = stored.SerializeToString()
    path = folder / f"{name.value}.onnx"
    path.write_bytes(data)
    say(f"wrote {path.name}: {precision.value}, {len(data) / 1e6:.1f} MB, {len(stored.graph.node)} nodes")
    return GraphFacts(
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        precision=precision,
        inputs=tuple(tensor_facts(value) for value in stored.graph.input),
        outputs=tuple(tensor_facts(value) for value in stored.graph.output),
    )


@contextmanager
def rewritten(folder: Path, out: Path) -> Iterator[tuple[Path, Manifest]]:
    """A folder that becomes the bundle ``out``, with all files of another bundle but its manifest, and that manifest.

    Raises:
        UserError: the bundle is not in order, or ``out`` is something else.
    """
    recover_dir(folder)
    manifest = Bundle.open(folder).manifest
    check_replaceable(out)
    with replacing_dir(out) as whole:
        shutil.copytree(folder, whole, symlinks=True, ignore=shutil.ignore_patterns(MANIFEST_NAME), dirs_exist_ok=True)
        yield whole, manifest


def check_replaceable(out: Path) -> None:
    """See that a bundle may be written there.

    Raises:
        UserError: it is something else than a bundle.
    """
    if out.exists() and not (out / MANIFEST_NAME).is_file():
        raise UserError(f"{out}: exists and is not a bundle; choose another folder with -o")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``bundle.json``."""
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
