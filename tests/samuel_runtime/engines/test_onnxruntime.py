from __future__ import annotations

import sys

import numpy as np
import pytest

from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.engines.onnxruntime import available_providers
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider
from tests.support.runtime.onnx_models import honest

MODEL = honest().SerializeToString()
CPU = Backend(Provider.CPU, Precision.FP32)


def test_a_graph_runs_by_names() -> None:
    engine = open_engine(MODEL, "m.onnx", CPU, threads=1)
    assert engine.backend == CPU and Provider.CPU in available_providers()
    outputs = engine(x=np.array([10, 20], np.float32))
    assert list(outputs) == ["y"]
    np.testing.assert_array_equal(outputs["y"], [11, 22])


def test_a_provider_that_is_missing_is_named_with_its_installation() -> None:
    missing = next(
        provider for provider in (Provider.COREML, Provider.DIRECTML) if provider not in available_providers()
    )
    with pytest.raises(UserError, match=rf"--provider {missing.value}: there is none for this system|pip install"):
        open_engine(MODEL, "m.onnx", Backend(missing, Precision.FP32))


@pytest.mark.parametrize("inputs", [{}, {"z": np.zeros(2, np.float32)}, {"x": np.zeros(3, np.float32)}])
def test_inputs_that_the_graph_does_not_take_are_reported(inputs: dict[str, np.ndarray]) -> None:
    engine = open_engine(MODEL, "m.onnx", CPU, threads=1)
    with pytest.raises(UserError, match=r"m\.onnx: ONNX Runtime failed to run it"):
        engine(**inputs)
    with pytest.raises(UserError, match=r"m\.onnx: ONNX Runtime failed to run it"):
        engine.bind(**inputs).run()


def test_bound_inputs_are_written_in_place_and_outputs_are_overwritten() -> None:
    engine = open_engine(MODEL, "m.onnx", CPU, threads=1)
    x = np.array([10, 20], np.float32)
    bound = engine.bind(x=x)
    first = bound.run()["y"]
    np.testing.assert_array_equal(first, [11, 22])
    x += 5
    second = bound.run()["y"]
    np.testing.assert_array_equal(second, engine(x=x)["y"])
    assert second is first


def test_a_provider_that_copies_sees_what_is_written_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """No device is needed: this one computes on the processor, and is bound as a GPU is."""
    engine = open_engine(MODEL, "m.onnx", CPU, threads=1)
    monkeypatch.setattr(engine, "backend", Backend(Provider.CUDA, Precision.FP32))
    x = np.array([10, 20], np.float32)
    bound = engine.bind(x=x)
    np.testing.assert_array_equal(bound.run()["y"], [11, 22])
    x += 5
    np.testing.assert_array_equal(bound.run()["y"], [16, 27])


def test_an_open_engine_does_not_keep_the_file_it_was_read_from() -> None:
    """That of Stable Audio Open's decoder is 312 MB."""
    content = bytes(bytearray(MODEL))  # referred to by this name only
    references = sys.getrefcount(content)
    engine = open_engine(content, "m.onnx", CPU, threads=1)
    assert sys.getrefcount(content) == references
    assert engine.outputs == ("y",)
