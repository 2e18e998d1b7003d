"""Wrong graphs, and bundles whose hashes vouch for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper


def nudge(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with one value of its largest tensor moved by the tensor's range."""
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16)
    floats = [tensor for tensor in changed.graph.initializer if tensor.data_type in kinds]
    largest = max(floats, key=lambda tensor: np.prod(tensor.dims))
    values = numpy_helper.to_array(largest).copy()
    values.flat[values.size // 2] += np.ptp(values)
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))
    return changed


def edit_manifest(bundle: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = bundle / "bundle.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def erase(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with zeros for its largest tensor, whatever its type."""
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.raw_data = bytes(len(largest.raw_data))
    return graph


def tamper(bundle: Path, name: str, change: Callable[[onnx.ModelProto], onnx.ModelProto] = nudge) -> None:
    """Change one graph, by default one weight of it, and the hash with it."""
    path = bundle / f"{name}.onnx"
    data = change(onnx.load(path)).SerializeToString()
    path.write_bytes(data)
    edit_manifest(
        bundle,
        lambda manifest: manifest["graphs"][name].update(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)),
    )
