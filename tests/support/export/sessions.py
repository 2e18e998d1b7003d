"""The three denoiser graphs in ONNX Runtime, joined as their names say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch

from samuel_export.graphs.denoiser import conditioning_graph, step_graph, timesteps_graph
from samuel_train.model.denoiser import Denoiser


@dataclass(frozen=True)
class DenoiserGraphs:
    """As they are written."""

    conditioning: onnx.ModelProto
    timesteps: onnx.ModelProto
    step: onnx.ModelProto

    @classmethod
    def of(cls, model: Denoiser) -> DenoiserGraphs:
        return cls(conditioning_graph(model), timesteps_graph(model), step_graph(model))


class Sessions:
    """The graphs, running: what one gives goes to the next by name."""

    def __init__(self, graphs: DenoiserGraphs) -> None:
        self._conditioning, self._timesteps, self._step = (
            session(graph) for graph in (graphs.conditioning, graphs.timesteps, graphs.step)
        )

    def memory(self, vocals: np.ndarray, sheet: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Of vocals (batch, channels, frames) and, for networks that take one, a sheet (batch, 34, frames)."""
        return run(self._conditioning, vocals=vocals, **({} if sheet is None else {"sheet": sheet}))

    def step(self, x: np.ndarray, t: list[int], scales: list[float], memory: dict[str, np.ndarray]) -> np.ndarray:
        terms = run(self._timesteps, t=np.array(t, np.int64))
        return run(self._step, x=x, scales=np.array(scales, np.float32), **terms, **memory)["output"]


def session(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(opened: onnxruntime.InferenceSession, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    names = [output.name for output in opened.get_outputs()]
    return dict(zip(names, opened.run(names, inputs), strict=True))


@torch.no_grad()
def predict(
    model: Denoiser, x: np.ndarray, vocals: np.ndarray, t: list[int], sheet: np.ndarray | None = None
) -> np.ndarray:
    """The same in PyTorch, without guidance."""
    given = None if sheet is None else torch.from_numpy(sheet)
    return model(torch.from_numpy(x), torch.from_numpy(vocals), torch.tensor(t), given).numpy()
