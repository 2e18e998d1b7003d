from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.choices import Provider
from samuel_runtime.engines import open_engine
from samuel_runtime.engines.onnx import available_providers
from samuel_runtime.errors import UserError
from tests.samuel_runtime.onnx_models import honest

MODEL = honest().SerializeToString()


def test_a_graph_runs_by_names() -> None:
    engine = open_engine(MODEL, "m.onnx", Provider.CPU, threads=1)
    assert engine.provider is Provider.CPU in available_providers()
    outputs = engine(x=np.array([10, 20], np.float32))
    assert list(outputs) == ["y"]
    np.testing.assert_array_equal(outputs["y"], [11, 22])


def test_a_provider_that_is_missing_is_named_with_its_installation() -> None:
    missing = next(
        provider for provider in (Provider.COREML, Provider.DIRECTML) if provider not in available_providers()
    )
    with pytest.raises(UserError, match=rf"--provider {missing.value}.*pip"):
        open_engine(MODEL, "m.onnx", missing)


@pytest.mark.parametrize("inputs", [{}, {"z": np.zeros(2, np.float32)}, {"x": np.zeros(3, np.float32)}])
def test_inputs_that_the_graph_does_not_take_are_reported(inputs: dict[str, np.ndarray]) -> None:
    engine = open_engine(MODEL, "m.onnx", Provider.CPU, threads=1)
    with pytest.raises(UserError, match=r"m\.onnx: ONNX Runtime failed to run it"):
        engine(**inputs)
