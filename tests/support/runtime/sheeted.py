"""A bundle whose model takes a lead sheet, made of one whose model takes none: the sheet is mixed into the vocals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from samuel_runtime.leadsheet.raster import CHANNELS
from tests.support.runtime.bad_bundles import edit, put_graph


def with_sheet(bundle: Path, folder: Path) -> Path:
    """A copy of the bundle whose conditioning has an input ``sheet``, in which every channel matters."""
    shutil.copytree(bundle, folder)
    model = onnx.load_from_string((folder / "conditioning.onnx").read_bytes())
    graph = model.graph
    channels = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    for node in graph.node:
        node.input[:] = ["sung" if name == "vocals" else name for name in node.input]
    weight = np.random.default_rng(6).normal(size=(channels, CHANNELS)).astype(np.float32)
    graph.initializer.append(onnx.numpy_helper.from_array(weight, "sheet_weight"))
    graph.input.append(onnx.helper.make_tensor_value_info("sheet", 1, ["batch", CHANNELS, "frames"]))
    nodes = [
        onnx.helper.make_node("MatMul", ["sheet_weight", "sheet"], ["sheet_part"]),
        onnx.helper.make_node("Add", ["vocals", "sheet_part"], ["sung"]),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
    put_graph(folder, model.SerializeToString(), "conditioning")

    def describe(values: dict[str, Any]) -> None:
        values["model"]["sheet_channels"] = CHANNELS
        inputs = values["graphs"]["conditioning"]["inputs"]
        inputs.append({"name": "sheet", "dtype": "float32", "shape": ["batch", CHANNELS, "frames"]})

    edit(folder, describe)
    return folder
