"""Counts against formulas, against PyTorch's own counter, and the two numbers that the rewrites are worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samuel_export import flops
from samuel_export.graphs.builder import GraphBuilder
from samuel_runtime.bundle.manifest import GraphName
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import Denoiser
from tests.support.export.sessions import DenoiserGraphs
from tests.support.export.timestep_tables import write_whole_tables

ROWS, FRAMES = 2, 24


class Attending(nn.Module):
    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, k)


def graph_of(kind: str, inputs: dict[str, tuple[int, ...]], *weights: np.ndarray, **attributes: object) -> int:
    g = GraphBuilder(kind)
    names = [g.input(name, shape) for name, shape in inputs.items()]
    axes = [f"axis{i}" for i in range(len(next(iter(inputs.values()))))]
    g.output("y", g.op(kind, *names, *(g.weight(one) for one in weights), **attributes), axes)
    return flops.of_graph(g.build(), {name: np.zeros(shape, np.float32) for name, shape in inputs.items()})


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (1, 2), (4, 1)])
def test_convolution(groups: int, stride: int) -> None:
    module = nn.Conv1d(8, 12, 4, stride=stride, padding=1, groups=groups)
    counted = graph_of("Conv", {"x": (ROWS, 8, FRAMES)}, module.weight.detach().numpy(), pads=[1, 1],
                       strides=[stride], group=groups)  # fmt: skip
    assert counted == flops.of_module(module, torch.zeros(ROWS, 8, FRAMES)) > 0


def test_transposed_convolution() -> None:
    counted = graph_of("ConvTranspose", {"x": (ROWS, 8, FRAMES)}, np.zeros((8, 6, 4)), pads=[1, 1], strides=[2])
    assert counted == 2 * ROWS * FRAMES * 8 * 6 * 4


@pytest.mark.parametrize("transposed", [0, 1])
def test_products(transposed: int) -> None:
    assert graph_of("MatMul", {"x": (ROWS, 5, 7)}, np.zeros((7, 3))) == 2 * ROWS * 5 * 7 * 3
    shape = (7, 5) if transposed else (5, 7)
    assert graph_of("Gemm", {"x": shape}, np.zeros((7, 3)), transA=transposed) == 2 * 5 * 7 * 3


def test_attention_with_heads_apart_and_side_by_side() -> None:
    """Both layouts against the module, which PyTorch's counter sees as plain products."""
    apart = {"q": (ROWS, 3, FRAMES, 8), "k": (ROWS, 3, 10, 8), "v": (ROWS, 3, 10, 8)}
    beside = {"q": (ROWS, FRAMES, 24), "k": (ROWS, 10, 24), "v": (ROWS, 10, 24)}
    expected = flops.of_module(Attending(), torch.zeros(apart["q"]), torch.zeros(apart["k"]))
    assert graph_of("Attention", apart) == expected == 4 * ROWS * 3 * FRAMES * 10 * 8
    assert graph_of("Attention", beside, q_num_heads=3, kv_num_heads=3) == expected


def test_the_rewrites_save_three_tenths_of_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Per branch at 1024 frames: 5.5 GFLOP as the paper writes the network, under 3.93 in the step graph."""
    write_whole_tables(monkeypatch)
    model = Denoiser(ModelConfig()).eval()
    graphs = {GraphName(name): graph for name, graph in vars(DenoiserGraphs.of(model)).items()}
    written, exported = flops.of_guided_step(model, graphs, 1024)
    assert written / 2 == pytest.approx(5.51e9, rel=2e-3)
    assert exported / 2 <= 3.77e9
