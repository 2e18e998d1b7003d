"""Both halves of the small codec as ONNX graphs: any number of frames, silence too, tables small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from samuel_train.codec.small import SmallCodec
from tests.samuel_train.tiny_codec import TINY

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

HOP = 2048


@pytest.fixture(scope="module")
def codec() -> SmallCodec:
    torch.manual_seed(0)
    return SmallCodec(TINY).eval()


@pytest.fixture(scope="module")
def graphs(codec: SmallCodec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    frames = torch.export.Dim("frames", min=2, max=65536)
    examples = {
        "encoder": (codec.encoder, torch.zeros(1, 2, 6 * HOP), HOP * frames),
        "decoder": (codec.decoder, torch.zeros(1, 8, 6), frames),
    }
    for name, (module, example, length) in examples.items():
        torch.onnx.export(
            module,
            (example,),
            folder / f"{name}.onnx",
            dynamo=True,
            opset_version=18,
            external_data=False,
            dynamic_shapes=({2: length},),
            verbose=False,
        )
    return {name: folder / f"{name}.onnx" for name in examples}


def outputs(path: Path, array: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: array})[0]


@pytest.mark.parametrize("frames", [3, 17])
@pytest.mark.parametrize("level", [0.1, 0.0])
def test_graphs_equal_the_modules(codec: SmallCodec, graphs: dict[str, Path], frames: int, level: float) -> None:
    """At level 0.0 too: an exporter once dropped the floor under the logarithm, and silence became infinite."""
    audio = level * torch.randn(1, 2, frames * HOP, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = codec.encoder(audio)
        decoded = codec.decoder(latents)
    for path, given, expected in (
        (graphs["encoder"], audio, latents),
        (graphs["decoder"], latents, decoded),
    ):
        got = outputs(path, given.numpy())
        assert np.linalg.norm(got - expected.numpy()) < 1e-5 * np.linalg.norm(expected.numpy())


def test_the_tables_of_the_transform_are_small(graphs: dict[str, Path]) -> None:
    assert sum(path.stat().st_size for path in graphs.values()) < 1.5e6
