from __future__ import annotations

import sys
import time

import numpy as np
import pytest
from onnx import TensorProto, helper

from samuel_runtime.engines import onnxruntime as engines_onnxruntime
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.engines.onnxruntime import OnnxEngine, available_providers
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
    with pytest.raises(UserError, match=rf"`provider='{missing.value}'`: there is none for this system|pip install"):
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


def test_threads_rest_between_runs() -> None:
    """They took the cores from the next graph, and a third of a song's time with them."""
    size = 256
    products = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["y"])],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [size, size])],
    )
    model = helper.make_model(products, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    engine = OnnxEngine(model.SerializeToString(), "m.onnx", CPU, threads=2)
    x = np.ones((size, size), np.float32)
    busy_s = []
    for _ in range(5):  # the shortest, for what else this process may do
        engine(x=x)
        started_s = time.process_time()
        time.sleep(0.02)
        busy_s.append(time.process_time() - started_s)
    assert min(busy_s) < 0.005


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("std::bad_alloc"),
        RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9"),
        RuntimeError("Not enough memory: 3 GiB"),
    ],
)
def test_too_little_memory_is_not_an_invitation_to_export_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    engine = open_engine(MODEL, "m.onnx", CPU, threads=1)
    monkeypatch.setattr(engine._session, "run", fail)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"^m\.onnx: there is too little memory for ONNX Runtime to run it; close"):
        engine(x=np.zeros(2, np.float32))
    monkeypatch.setattr(engines_onnxruntime.onnxruntime, "InferenceSession", fail)
    with pytest.raises(UserError, match=r"^m\.onnx: there is too little memory for ONNX Runtime to load it; close"):
        open_engine(MODEL, "m.onnx", CPU, threads=1)


@pytest.mark.parametrize("defect", [AttributeError, KeyError, TypeError, ZeroDivisionError])
def test_a_defect_is_not_dressed_up_as_the_users_error(
    defect: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise defect("ours")

    engine = open_engine(MODEL, "m.onnx", CPU, threads=1)
    monkeypatch.setattr(engine._session, "run", fail)  # type: ignore[attr-defined]
    with pytest.raises(defect):
        engine(x=np.zeros(2, np.float32))
    monkeypatch.setattr(engines_onnxruntime.onnxruntime, "InferenceSession", fail)
    with pytest.raises(defect):
        open_engine(MODEL, "m.onnx", CPU, threads=1)


def test_what_onnx_runtime_prints_of_a_failure_is_not_beside_our_line(capfd: pytest.CaptureFixture[str]) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "y")]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [3, 3])
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "shape"], ["h"]),
                               helper.make_node("ReduceSum", ["h"], ["y"], keepdims=0)],
                              "test", values[:1], values[1:], [shape])  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    engine = open_engine(model.SerializeToString(), "m.onnx", CPU, threads=1)
    capfd.readouterr()
    with pytest.raises(UserError, match="ONNX Runtime failed to run it"):
        engine(x=np.zeros(4, np.float32))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "platform, provider, said",
    [
        ("linux", Provider.DIRECTML, "there is none for this system, only for Windows"),
        ("linux", Provider.COREML, "there is none for this system, only for macOS"),
        ("darwin", Provider.CUDA, "there is none for this system, only for Linux and Windows"),
        ("linux", Provider.CUDA, "python3 -m venv samuel-gpu && samuel-gpu/bin/pip install 'samuel-deploy[gpu]'"),
        ("win32", Provider.DIRECTML, r"samuel-gpu\\Scripts\\pip install samuel-deploy onnxruntime-directml"),
    ],
)
def test_the_doctor_advises_only_what_works_here_and_breaks_nothing(
    platform: str, provider: Provider, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It told users of Linux to uninstall what they had for DirectML, which is not made for Linux."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(engines_onnxruntime, "available_providers", lambda: [Provider.CPU])
    missing = engines_onnxruntime.unavailable_reason(Backend(provider, Precision.FP32))
    assert said.replace("\\\\", "\\") in missing
    assert "uninstall" not in missing
