"""Files of a bundle while it is made: its graphs and its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx

from samuel_export.metadata import tensor_facts
from samuel_export.parity.check import Say
from samuel_runtime.bundle.manifest import MANIFEST_NAME, SCHEMA_VERSION, GraphFacts, GraphName, Manifest
from samuel_runtime.settings import Precision


def write_graph(folder: Path, name: GraphName, graph: onnx.ModelProto, precision: Precision, say: Say) -> GraphFacts:
    """Write a graph into a bundle's folder; returns its manifest entry."""
    onnx.helper.set_model_props(graph, {"samuel.graph": name.value, "samuel.schema": str(SCHEMA_VERSION)})
    data = graph.SerializeToString()
    path = folder / f"{name.value}.onnx"
    path.write_bytes(data)
    say(f"wrote {path.name}: {precision.value}, {len(data) / 1e6:.1f} MB, {len(graph.graph.node)} nodes")
    return GraphFacts(
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        precision=precision,
        inputs=tuple(tensor_facts(value) for value in graph.graph.input),
        outputs=tuple(tensor_facts(value) for value in graph.graph.output),
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``bundle.json``."""
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
