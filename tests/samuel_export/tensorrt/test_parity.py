"""What engines are built from is held against the bundle: the network by its cases, the sampler inside by its loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from samuel_export.tensorrt import graphs as writing
from samuel_export.tensorrt.graphs import engine_graphs
from samuel_export.tensorrt.parity import HostLoop, check_engine_graphs, engines_on_host
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.diffusion.fused_step import Inputs, output_alone
from samuel_runtime.engines import openvino
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Provider, Settings
from tests.support.export.sabotage import nudge
from tests.support.weights import normal, relative_l2

Graphs = dict[GraphName, onnx.ModelProto]


def proven(bundle: Path, graphs: Graphs, precision: Precision) -> tuple[dict[str, Any], list[str]]:
    """The report, and the lines that fail."""
    said: list[str] = []
    report = check_engine_graphs(Bundle.open(bundle), graphs, precision, said.append)
    assert len(said) == len(report["probes"]) + 1
    print(said[-1])
    return report, [line for line in said if not line.startswith("ok   ")]


@pytest.mark.parametrize("precision", list(Precision))
def test_a_bundles_graphs_pass_in_every_precision(bundle: Path, precision: Precision) -> None:
    if precision is Precision.BF16 and (missing := openvino.unavailable_reason(precision)):
        pytest.skip(missing)
    report, failed = proven(bundle, engine_graphs(Bundle.open(bundle), precision), precision)
    assert (report["passed"], report["fused_loop"]["passed"], failed) == (True, True, [])
    least_db = {Precision.FP32: 80, Precision.FP16: 40, Precision.BF16: 30}[precision]
    assert report["fused_loop"]["latent_snr_db"] > least_db


@pytest.mark.parametrize("name", [GraphName.CONDITIONING, GraphName.DECODER])
def test_one_weight_of_a_graph_is_seen(bundle: Path, name: GraphName) -> None:
    graphs = engine_graphs(Bundle.open(bundle), Precision.FP32)
    report, failed = proven(bundle, {**graphs, name: nudge(graphs[name])}, Precision.FP32)
    assert not report["passed"] and failed


def test_a_sampler_that_is_slightly_wrong_is_seen_by_the_loop_alone(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cases see the network only; a limit of what can be heard would let this pass."""
    weighted = writing._weighted

    def forgetful(g: Any, weights: list[str], *values: str) -> str:
        if len(values) == 4 and values[-1] == "noise":
            weights = [*weights[:2], g.op("Mul", weights[2], g.weight(np.float32(0.98))), weights[3]]
        return weighted(g, weights, *values)

    monkeypatch.setattr(writing, "_weighted", forgetful)
    report, failed = proven(bundle, engine_graphs(Bundle.open(bundle), Precision.FP32), Precision.FP32)
    assert not report["passed"]
    assert [line.split(":")[0] for line in failed] == ["FAIL the fused loop"]


def test_a_device_on_the_processor_makes_the_bundles_song(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    device = engines_on_host(opened, engine_graphs(opened, Precision.FP32), Precision.FP32)
    vocals, settings = normal(1, 64, 72), Settings(steps=5, guidance=2.5)
    expected = Samuel.load(bundle, Provider.CPU).generate(vocals, settings)
    assert relative_l2(device.generate(vocals, settings), expected) <= 1e-5


def test_a_precision_that_nothing_here_computes_in_is_one_line(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Bundle.open(bundle)
    graphs = engine_graphs(opened, Precision.BF16)
    monkeypatch.setattr(openvino, "unavailable_reason", lambda precision: "the processor has no bfloat16")
    with pytest.raises(UserError, match="the processor has no bfloat16"):
        engines_on_host(opened, graphs, Precision.BF16)


def test_the_loop_leaves_what_it_is_given(bundle: Path) -> None:
    """Its caller's arrays are the next window's too."""
    opened = Bundle.open(bundle)
    graphs = engine_graphs(opened, Precision.FP32)
    device = engines_on_host(opened, graphs, Precision.FP32)
    vocals, start = normal(1, 1, 64, 40), normal(2, 1, 64, 40)
    kept = vocals.copy(), start.copy()
    loop = device.denoiser._loop(1, (1, 64, 40), False)  # type: ignore[attr-defined]
    assert isinstance(loop, HostLoop)
    terms = [device.denoiser._terms((3,))]  # type: ignore[attr-defined]
    inputs = Inputs({"vocals": vocals}, start, vocals[..., :8], [2.0], output_alone()[None], terms, None)
    first, second = loop.run(inputs), loop.run(inputs)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(vocals, kept[0])
    np.testing.assert_array_equal(start, kept[1])
    assert first.shape == (1, 1, 64, 40)
