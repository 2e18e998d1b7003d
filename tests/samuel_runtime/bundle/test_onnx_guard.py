from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.bundle.manifest import REQUIRED_GRAPHS
from samuel_runtime.bundle.onnx_guard import check_onnx
from samuel_runtime.errors import UserError
from tests.support.runtime.onnx_models import HOSTILE, honest


def _checked(model: bytes) -> bool:
    try:
        check_onnx(model, "m.onnx")
    except UserError:
        return False
    return True


def test_an_honest_model_passes() -> None:
    check_onnx(honest().SerializeToString(), "m.onnx")


def test_the_graphs_of_a_bundle_pass(bundle: Path) -> None:
    for name in REQUIRED_GRAPHS:
        check_onnx((bundle / f"{name.value}.onnx").read_bytes(), name.value)


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_reaches_outside_is_refused_by_name(make: Callable[[], onnx.ModelProto]) -> None:
    with pytest.raises(UserError, match=r"^m\.onnx: .*export the bundle again") as refusal:
        check_onnx(make().SerializeToString(), "m.onnx")
    assert "is not an ONNX model" not in str(refusal.value)


def test_microsoft_operators_pass() -> None:
    model = honest()
    model.graph.node[0].domain = "com.microsoft"
    check_onnx(model.SerializeToString(), "m.onnx")


def test_a_bomb_of_nested_graphs_is_refused() -> None:
    graph = b""
    for _ in range(80):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # a graph in an attribute in a node in a graph
            graph = tag + _varint(len(graph)) + graph
    bomb = b"\x3a" + _varint(len(graph)) + graph
    with pytest.raises(UserError, match="nests too deeply"):
        check_onnx(bomb, "m.onnx")


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 0x7F | 0x80]) + _varint(value >> 7)


@pytest.mark.parametrize("content", [b"", b"\x08\x0a", b"text is no model"], ids=["nothing", "no graph", "text"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(UserError, match="is not an ONNX model"):
        check_onnx(content, "m.onnx")


def test_a_field_cannot_hide_behind_a_tag_that_readers_truncate() -> None:
    # Protobuf's own readers keep 32 bits of a tag, so these five bytes are field 7, the graph, to them.
    graph = HOSTILE["external weights"]().graph.SerializeToString()
    hidden = b"\xba\x80\x80\x80\x10" + _varint(len(graph)) + graph
    model = honest().SerializeToString() + hidden
    with pytest.raises(UserError):
        check_onnx(model, "m.onnx")


@settings(max_examples=300, deadline=500)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused_or_pass_and_nothing_else(content: bytes) -> None:
    _checked(content)


_GOOD = [honest().SerializeToString(), *(make().SerializeToString() for make in HOSTILE.values())]


@settings(max_examples=300, deadline=500)
@given(
    st.sampled_from(_GOOD),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4),
    st.integers(0, 1 << 16),
)
def test_damaged_models_are_refused_or_pass_and_nothing_else(
    model: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(model)
    for position, value in changes:
        damaged[position % len(model)] = value
    _checked(bytes(damaged[: max(1, cut % (2 * len(model)))]))


@settings(max_examples=200, deadline=500)
@given(st.integers(0, 1 << 16), st.integers(0, 255))
def test_no_damage_turns_hidden_external_data_into_a_model_that_passes_and_loads(position: int, value: int) -> None:
    damaged = bytearray(HOSTILE["external weights"]().SerializeToString())
    damaged[position % len(damaged)] = value
    if _checked(bytes(damaged)):
        parsed = onnx.ModelProto()
        try:
            parsed.ParseFromString(bytes(damaged))
        except Exception:  # protobuf's DecodeError has no stable home
            return
        assert not any(tensor.external_data for tensor in parsed.graph.initializer)


def test_the_engine_refuses_onnx_runtimes_own_format(tmp_path: Path) -> None:
    from samuel_runtime.engines.backend import Backend
    from samuel_runtime.engines.loading import open_engine
    from samuel_runtime.settings import Precision, Provider

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "m.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(honest().SerializeToString(), options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "m.ort").read_bytes()
    onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])  # by itself it would be taken
    with pytest.raises(UserError, match="cannot load"):
        open_engine(content, "m.onnx", Backend(Provider.CPU, Precision.FP32))
