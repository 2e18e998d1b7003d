"""An estimator read back from its graph."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from click.testing import CliRunner

from samuel_export.graphs.chord_estimator import chord_graph
from samuel_export.graphs.estimator import estimator_graph
from samuel_export.read_back.__main__ import command
from samuel_export.read_back.estimator import estimator_of, read_estimator
from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE
from samuel_runtime.errors import UserError
from samuel_train.listen.checkpoint import load_estimator
from samuel_train.listen.chord_estimator.network import ChordNetwork
from samuel_train.listen.config import ChordConfig, EstimatorConfig, StackConfig
from samuel_train.listen.estimator.network import EstimatorNetwork
from samuel_train.listen.part import part_of
from tests.support.weights import normal


def random_network(config: StackConfig) -> torch.nn.Module:
    """In which statistics of the norms differ from each other, too."""
    torch.manual_seed(1)
    network = part_of(config).network(config)
    for values in (*network.parameters(), *network.buffers()):
        if values.is_floating_point():
            torch.nn.init.uniform_(values, 0.1, 1)
    return network.eval()


@pytest.mark.parametrize(
    "config", [EstimatorConfig(8, 3, 1), EstimatorConfig(12, 2, 3), ChordConfig(8, 3, 1), ChordConfig(9, 2, 3)]
)
def test_every_weight_comes_back(config: StackConfig) -> None:
    network = random_network(config)
    graph = (
        chord_graph(network) if isinstance(network, ChordNetwork) else estimator_graph(cast(EstimatorNetwork, network))
    )
    read = estimator_of(graph, "none")
    assert read.config == config
    for name, weight in network.state_dict().items():
        assert torch.equal(read.weights[name], weight), name


def test_the_packaged_estimator_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "estimator.safetensors"
    ran = CliRunner().invoke(command, [str(PACKAGED_BUNDLE), "--estimator", "-o", str(out)])
    assert ran.exit_code == 0, ran.output
    again = read_estimator(PACKAGED_BUNDLE)
    checkpoint = load_estimator(out)
    assert checkpoint.provenance == again.provenance and "samuel-train listen" in checkpoint.provenance["training"]
    melody = torch.from_numpy(normal(1, 1, 18, 64))
    assert torch.equal(checkpoint.build()(melody).root, again.build()(melody).root)


def test_bundles_without_one_and_other_graphs_are_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no estimator"):
        read_estimator(bundle)
    graph = estimator_graph(cast(EstimatorNetwork, random_network(EstimatorConfig(8, 3, 1))))
    del graph.graph.initializer[0]
    with pytest.raises((UserError, ValueError)):
        estimator_of(graph, "none")
    both = ["--denoiser", "--estimator", "-o", str(tmp_path / "out")]
    assert "call it once for each" in CliRunner().invoke(command, [str(PACKAGED_BUNDLE), *both]).output
