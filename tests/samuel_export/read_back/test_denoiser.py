"""A denoiser read back from its graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import samuel_train
from samuel_export.precision.weights import WeightFormat, pack_weights
from samuel_export.read_back.__main__ import command
from samuel_export.read_back.denoiser import DenoiserGraphs, denoiser_of
from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE, Bundle
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_train.model.checkpoint import load_checkpoint
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser
from tests.support.export.sessions import DenoiserGraphs as Written
from tests.support.export.sessions import Sessions, predict
from tests.support.export.timestep_tables import write_whole_tables
from tests.support.miniature import CONFIG, miniature_model
from tests.support.weights import normal, relative_l2

BOUND = 2e-2  # measured 3e-3 at most: the ends of the decoder's context, which weigh as one frame among all

READABLE = {"latent_channels": 16, "base_channels": 16, "time_width": 64, "timesteps": 100}
"""A network whose output is as wide as its first level, and with features enough for a table of so many timesteps."""


def graphs_of(model: Denoiser) -> DenoiserGraphs:
    return DenoiserGraphs(**vars(Written.of(model)))


@pytest.mark.parametrize("alignment", list(Alignment))
def test_it_computes_what_the_graphs_compute(alignment: Alignment) -> None:
    t = [0, 99]
    model = miniature_model(alignment, **READABLE, vocal_context_width=16, sheet_width=12)
    read = denoiser_of(graphs_of(model), model.config)
    x, vocals = normal(1, len(t), 16, 512), normal(2, len(t), 16, 512)
    sheet = normal(3, len(t), 34, 512)
    sung, silent = predict(model, x, vocals, t, sheet), predict(model, x, np.zeros_like(x), t)
    assert relative_l2(predict(read, x, vocals, t, sheet), sung) < BOUND
    again = Sessions(Written.of(read))
    assert relative_l2(again.step(x, t, [3.0, -2.0], again.memory(vocals, sheet)), 3 * sung - 2 * silent) < BOUND


def test_half_precision_files_are_read_too() -> None:
    model = miniature_model(**READABLE)
    graphs = graphs_of(model)
    packed = DenoiserGraphs(**{name: pack_weights(graph, WeightFormat.FP16) for name, graph in vars(graphs).items()})
    read = denoiser_of(packed, model.config)
    weight = model.unet.downs[0].conv1.weight
    np.testing.assert_allclose(read.unet.downs[0].conv1.weight.detach(), weight.detach(), rtol=1e-3, atol=1e-6)


def test_graphs_of_another_network_are_refused() -> None:
    graphs = graphs_of(miniature_model(**READABLE))
    with pytest.raises(UserError, match="not that of this config"):
        denoiser_of(graphs, ModelConfig(**CONFIG.to_dict() | READABLE | {"vocal_context_width": 8}))
    narrow = miniature_model()
    with pytest.raises(UserError, match="cannot be read back"):
        denoiser_of(graphs_of(narrow), narrow.config)


def test_the_packaged_denoiser_comes_back_with_its_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole_tables(monkeypatch)  # of the network that it is compared with
    config = Path(samuel_train.__file__).parent / "default.toml"
    out = tmp_path / "checkpoint.safetensors"
    ran = CliRunner().invoke(command, [str(PACKAGED_BUNDLE), "--denoiser", "--config", str(config), "-o", str(out)])
    assert ran.exit_code == 0, ran.output
    checkpoint, manifest = load_checkpoint(out), Bundle.open(PACKAGED_BUNDLE).manifest
    assert checkpoint.statistics.to_dict() == manifest.statistics.to_dict()
    with Samuel.load(PACKAGED_BUNDLE, provider="cpu", precision="fp32") as samuel:
        x, vocals = normal(1, 1, 64, 256), normal(2, 1, 64, 256)
        expected = samuel.conditioned(vocals)(x, [400])
    assert relative_l2(predict(checkpoint.build(), x, vocals, [400]), expected) < 5e-3  # measured 4e-4
