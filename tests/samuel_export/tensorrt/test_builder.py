"""TensorRT for RTX's builder, which needs no GPU: what it takes, what it refuses, and that attention stays fused."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.denoiser import conditioning_graph, step_graph
from samuel_export.precision.convert import convert_precision
from samuel_export.tensorrt import builder as engine_builder
from samuel_export.tensorrt import graphs as engine_graphs
from samuel_export.tensorrt.builder import Built, build, flavor_for, known_targets
from samuel_export.tensorrt.graphs import buildable, fused, named, padded_heads, unfused_attention
from samuel_export.tensorrt.profiles import profiles_of
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName, Manifest, ShapeRange
from samuel_runtime.engines.tensorrt import device
from samuel_runtime.engines.tensorrt import library as tensorrt_library
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Flavor, Precision
from samuel_train.model.config import Alignment
from tests.support.miniature import miniature_model
from tests.support.weights import normal

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")

ROWS, FRAMES = 16, 1024
Rewrite = Callable[[onnx.ModelProto], onnx.ModelProto]


def exactly(**shapes: tuple[int, ...]) -> tuple[dict[str, ShapeRange]]:
    """One profile of these shapes alone."""
    return ({name: ShapeRange(least=shape, usual=shape, most=shape) for name, shape in shapes.items()},)


def built(model: onnx.ModelProto, *, targets: tuple[str, ...] = (), **shapes: tuple[int, ...]) -> Built:
    return build(named(model).SerializeToString(), "test.onnx", exactly(**shapes), Flavor.RTX, targets)


def convolution(width: int = 8) -> onnx.ModelProto:
    g = GraphBuilder("one")
    x = g.input("x", ["batch", width, 1, "frames"])
    y = g.op("Conv", x, g.weight(normal(1, width, width, 1, 3)), pads=[0, 1, 0, 1])
    g.output("y", y, ["batch", width, 1, "frames"])
    return g.build()


def attention(heads: int, size: int) -> onnx.ModelProto:
    """Projections around one attention, so that its queries, keys and values are computed as in the network."""
    g, n = GraphBuilder("attention"), heads * size
    x = g.input("x", ["rows", "frames", n])
    q, k, v = (g.op("MatMul", x, g.weight(normal(seed, n, n) / n**0.5)) for seed in range(3))
    y = g.op("Attention", q, k, v, scale=float(size**-0.5), q_num_heads=heads, kv_num_heads=heads)
    g.output("y", g.op("MatMul", y, g.weight(normal(3, n, n) / n**0.5)), ["rows", "frames", n])
    return g.build()


def test_an_engine_is_built_without_a_gpu() -> None:
    one = built(convolution(), x=(1, 8, 1, 64))
    assert len(one.engine) > 1000
    assert one.build_s > 0
    assert one.scratch_bytes >= 0


def song_lengths(width: int) -> ShapeRange:
    """Up to 16 rows of up to 1024 frames: with one shape alone, TensorRT would take attention apart where it must."""
    return ShapeRange(least=(1, 128, width), usual=(2, FRAMES, width), most=(ROWS, FRAMES, width))


def built_attention(model: onnx.ModelProto) -> Built:
    width = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    return build(named(model).SerializeToString(), "test.onnx", ({"x": song_lengths(width)},), Flavor.RTX)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
@pytest.mark.parametrize(("heads", "size"), [(8, 8), (8, 16), (4, 64)])
def test_attention_is_fused(heads: int, size: int, precision: Precision) -> None:
    """Its scores, rows x heads x frames x frames, are never in memory; this fails when the fused kernel is lost."""
    low = convert_precision(attention(heads, size), precision)
    fused, scores = built_attention(padded_heads(low)).scratch_bytes, 2 * ROWS * heads * FRAMES**2
    print(f"{heads} heads of {size}: {fused / 1e6:.1f} MB of scratch memory, the scores alone {scores / 1e6:.1f} MB")
    assert fused < scores / 2
    if size < 16:  # larger ones TensorRT fuses of its own accord
        apart = built_attention(unfused_attention(low)).scratch_bytes
        print(f"taken apart {apart / 1e6:.1f} MB")
        assert apart > scores > 8 * fused


def test_a_head_size_without_a_kernel_is_refused_in_the_librarys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    low = convert_precision(attention(8, 8), Precision.FP16)
    monkeypatch.setattr(engine_graphs, "_LEAST_HEAD", 8)
    with pytest.raises(UserError, match=r"^test\.onnx: TensorRT cannot build .*not supported by a dedicated kernel"):
        built_attention(padded_heads(low))


def test_float32_attention_has_no_kernel_and_bfloat16_no_transposed_convolution() -> None:
    """What buildable() goes around; should a later version have them, it need not."""
    plain = attention(4, 16)
    with pytest.raises(UserError, match="not supported by a dedicated kernel"):
        built_attention(padded_heads(plain))
    built_attention(buildable(plain, Precision.FP32))

    g = GraphBuilder("up")
    x = g.input("x", ["batch", 8, 1, "frames"])
    g.output("y", g.op("ConvTranspose", x, g.weight(normal(1, 8, 4, 1, 4)), pads=[0, 1, 0, 1], strides=[1, 2]),
             ["batch", 4, 1, "twice"])  # fmt: skip
    low = convert_precision(g.build(), Precision.BF16)
    with pytest.raises(UserError, match="deconv"):
        built(low, x=(1, 8, 1, 64))
    built(buildable(low, Precision.BF16), x=(1, 8, 1, 64))


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Bundle.open().manifest


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])  # fp16, the usual: test_add_engines.py
def test_the_packaged_step_is_built_in_every_precision(manifest: Manifest, precision: Precision) -> None:
    graph = engine_graphs.engine_graphs(Bundle.open(), precision)[GraphName.STEP]
    profiles = profiles_of(GraphName.STEP, graph, manifest)
    one = build(graph.SerializeToString(), "step.onnx", profiles, Flavor.RTX)
    print(f"{precision.value}: {one.build_s:.1f} s, {one.scratch_bytes / 1e6:.1f} MB of scratch memory")
    # Eight takes with both branches: their scores alone would be 16 x 8 heads x 1024 x 1024 halves.
    assert (one.scratch_bytes < 100e6) == (precision is not Precision.FP32)


def test_the_published_alignment_is_built(manifest: Manifest) -> None:
    """In miniature and with one profile; test_full_size.py has the documented one as it is deployed."""
    written = {GraphName.CONDITIONING: conditioning_graph, GraphName.STEP: lambda model: fused(step_graph(model))}
    for name, write in written.items():
        graph = named(
            buildable(
                convert_precision(write(miniature_model(Alignment.PUBLISHED_CODE)), Precision.FP16), Precision.FP16
            )
        )
        one = build(graph.SerializeToString(), name.value, profiles_of(name, graph, manifest)[:1], Flavor.RTX)
        print(f"{name.value}: {one.build_s:.1f} s, {one.scratch_bytes / 1e6:.1f} MB of scratch memory")


def test_what_the_parser_refuses_is_said_node_by_node() -> None:
    g = GraphBuilder("strange")
    x = g.input("x", [4, 4])
    first, second = g.op("Det", g.op("Unsqueeze", x, g.ints(0))), g.op("Bernoulli", x)
    g.output("y", g.op("Add", first, second), [4, 4])
    with pytest.raises(UserError) as caught:
        built(g.build(), x=(4, 4))
    said = str(caught.value)
    print(said)
    assert said.startswith("test.onnx: TensorRT does not take it; ")
    assert "\n" not in said
    for kind in ("Det", "Bernoulli"):
        (node,) = [node for node in named(g.build()).graph.node if node.op_type == kind]
        assert f"{kind} {node.name}: " in said


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(UserError, match=r"^test\.onnx: TensorRT does not take it; "):
        build(b"not a graph", "test.onnx", (), Flavor.RTX)


def test_a_network_that_the_builder_refuses_is_said_in_its_words() -> None:
    """Inputs whose shapes do not fit each other are found by the builder, not the parser."""
    g = GraphBuilder("sum")
    a, b = g.input("a", ["n", "m"]), g.input("b", ["n", "k"])
    g.output("y", g.op("MatMul", a, b), ["n", "k"])
    with pytest.raises(
        UserError, match=r"^test\.onnx: TensorRT cannot build it \((?!it gave no reason).{20}"
    ) as caught:
        built(g.build(), a=(2, 3), b=(4, 5))
    assert "\n" not in str(caught.value)


@pytest.fixture
def configurations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What builders were configured to do, builder first."""
    made, original = [], engine_builder._configured

    def spied(trt: Any, builder: Any, *rest: Any) -> Any:
        config = original(trt, builder, *rest)
        made.append((builder, config))  # a configuration must not outlive its builder
        return config

    monkeypatch.setattr(engine_builder, "_configured", spied)
    return made


def test_precision_and_memory_are_as_the_loop_needs_them(configurations: list[Any]) -> None:
    """TensorFloat-32 would round what is float32 on purpose; memory of its own would keep a stream from capture."""
    trt = tensorrt_library.library(Flavor.RTX)
    flags = trt.BuilderFlag.TF32, trt.BuilderFlag.REQUIRE_USER_ALLOCATION
    default = trt.Builder(tensorrt_library.logger_of(trt)).create_builder_config()
    assert [default.get_flag(flag) for flag in flags] == [True, False]
    built(convolution(), x=(1, 8, 1, 64))
    ((_, config),) = configurations
    assert [config.get_flag(flag) for flag in flags] == [False, True]


def test_every_profile_is_built(configurations: list[Any]) -> None:
    wide = ShapeRange(least=(1, 8, 1, 8), usual=(1, 8, 1, 64), most=(4, 8, 1, 128))
    profiles = (*exactly(x=(1, 8, 1, 64)), {"x": wide})
    build(convolution().SerializeToString(), "test.onnx", profiles, Flavor.RTX)
    ((_, config),) = configurations
    assert config.num_optimization_profiles == 2


@pytest.mark.parametrize("targets", [("8.6",), ("8.9", "12.0"), ("7.5",)])
def test_targets_are_handed_on(targets: tuple[str, ...], configurations: list[Any]) -> None:
    trt = tensorrt_library.library(Flavor.RTX)
    built(convolution(), x=(1, 8, 1, 64), targets=targets)
    ((_, config),) = configurations
    found = [config.get_compute_capability(i) for i in range(config.num_compute_capabilities)]
    assert found == [getattr(trt.ComputeCapability, f"SM{target.replace('.', '')}") for target in targets]


def test_targets_have_names() -> None:
    known = known_targets(Flavor.RTX)
    assert {"7.5", "8.0", "8.6", "8.9", "12.0"} <= set(known)
    assert known == sorted(known, key=lambda name: [int(part) for part in name.split(".")])
    assert known_targets(Flavor.CLASSIC) == []


@pytest.mark.parametrize("flavor", list(Flavor))
def test_a_library_that_is_not_installed_is_named_with_what_adds_it(
    flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_library, "find_spec", lambda name: None)
    extra = {Flavor.RTX: "rtx", Flavor.CLASSIC: "trt"}[flavor]
    line = rf"is not installed; add it with `pip install 'samuel-deploy\[{extra}\]'`$"
    with pytest.raises(UserError, match=rf"^--trt: its library .*{line}"):
        flavor_for(flavor)
    with pytest.raises(UserError, match=rf"^TensorRT: its library .*{line}"):
        build(b"", "test.onnx", (), flavor)


@pytest.mark.parametrize("error", [ImportError("libcudart.so is missing"), OSError("no space"), RuntimeError("broken")])
def test_a_library_that_does_not_load_is_named_with_its_reason(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", failing)
    with pytest.raises(UserError, match=rf"tensorrt_rtx does not load \({error}\); install it again with `pip"):
        build(b"", "test.onnx", (), Flavor.RTX)


def set_machine(monkeypatch: pytest.MonkeyPatch, *installed: Flavor, gpu: bool) -> None:
    """A machine with these libraries, and a GPU or none."""

    def gpu_here() -> SimpleNamespace:
        if not gpu:
            raise UserError("CUDA: there is no NVIDIA GPU; use --provider cpu")
        return SimpleNamespace()

    for module in (tensorrt_library, engine_builder):
        monkeypatch.setattr(module, "is_installed", lambda flavor: flavor in installed)
    monkeypatch.setattr(device, "gpu_here", gpu_here)


@pytest.mark.parametrize(
    ("installed", "gpu", "taken"),
    [
        ([Flavor.RTX], True, Flavor.RTX),
        ([Flavor.RTX], False, Flavor.RTX),
        ([Flavor.RTX, Flavor.CLASSIC], True, Flavor.CLASSIC),
        ([Flavor.RTX, Flavor.CLASSIC], False, Flavor.RTX),
        ([Flavor.CLASSIC], True, Flavor.CLASSIC),
    ],
)
def test_auto_builds_classic_where_it_can_and_rtx_elsewhere(
    installed: list[Flavor], gpu: bool, taken: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_machine(monkeypatch, *installed, gpu=gpu)
    assert flavor_for(None) is taken
    assert flavor_for(taken) is taken


def test_what_no_flavor_can_do_here_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    set_machine(monkeypatch, Flavor.CLASSIC, gpu=False)
    with pytest.raises(UserError, match=r"^--trt: its library tensorrt_rtx is not installed; add it with"):
        flavor_for(None)
    with pytest.raises(UserError, match=r"^--trt-flavor classic: .*there is no NVIDIA GPU; use --trt-flavor rtx$"):
        flavor_for(Flavor.CLASSIC)
