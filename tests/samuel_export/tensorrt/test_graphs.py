"""What TensorRT is given computes what the bundle's graphs do: step and sampler in one, wider heads, other types."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.denoiser import conditioning_graph, step_graph, timesteps_graph
from samuel_export.precision.convert import convert_precision
from samuel_export.precision.weights import WeightFormat, pack_weights, unpack_weights
from samuel_export.tensorrt.graphs import (
    buildable,
    engine_graphs,
    float32_deconvolutions,
    fused,
    named,
    padded_heads,
    unfused_attention,
)
from samuel_export.tensorrt.parity import HostLoop
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName, ModelFacts
from samuel_runtime.diffusion import fused_step
from samuel_runtime.diffusion.denoiser import Denoiser, Sampling
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import timesteps_for
from samuel_runtime.diffusion.schedule import Prediction
from samuel_runtime.engines.backend import Backend, Engine
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.engines.tensorrt.denoiser import DeviceDenoiser
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Provider, Sampler, Settings
from samuel_train.model.config import Alignment
from tests.support.export.sabotage import edit_manifest
from tests.support.export.sessions import run, session
from tests.support.miniature import miniature_model, miniature_statistics
from tests.support.weights import normal, relative_l2

CPU = Backend(Provider.CPU, Precision.FP32)
FRAMES = 40
CLAMP = (-5.0, 5.0)
LOOP_BOUND = 1e-5  # measured up to 2e-6


@cache
def engine(kind: str, variant: Alignment) -> Engine:
    """A miniature's graph, running; "fused" is the step with everything that the builder is given."""
    writers: dict[str, Callable[..., onnx.ModelProto]] = {
        "conditioning": conditioning_graph,
        "timesteps": timesteps_graph,
        "step": step_graph,
        "fused": lambda model: named(padded_heads(fused(step_graph(model)))),
    }
    return open_engine(writers[kind](miniature_model(variant)).SerializeToString(), kind, CPU, threads=1)


def facts_of(prediction: Prediction) -> ModelFacts:
    statistics = miniature_statistics().to_dict()
    return ModelFacts(prediction=prediction, timesteps=800, latent_channels=64, frames=1024, frames_min=16,
                      frames_multiple=8, guidance=2.0, statistics=statistics)  # fmt: skip


def denoisers(variant: Alignment, prediction: Prediction) -> tuple[Denoiser, DeviceDenoiser]:
    """A model with the loop on the host, and with the loop inside the graph."""
    conditioning, timesteps, step, whole = (
        engine(kind, variant) for kind in ("conditioning", "timesteps", "step", "fused")
    )
    facts = facts_of(prediction)
    loop = HostLoop(conditioning, whole)
    return (
        Denoiser(conditioning, timesteps, step, facts),
        DeviceDenoiser(timesteps, facts, CPU, lambda terms, shape, noisy: loop),
    )


def draw(batch: int, t: int) -> np.ndarray:
    return np.stack([noise(take, t, 0, FRAMES, 64) for take in range(batch)])


@pytest.mark.parametrize("variant", list(Alignment))
@pytest.mark.parametrize("prediction", list(Prediction))
@pytest.mark.parametrize("sampler", list(Sampler))
@pytest.mark.parametrize(
    ("batch", "held", "guidance"), [(1, 0, Guidance(2.0)), (2, 8, Guidance(3.0, down_to=400)), (2, 16, Guidance(1.0))]
)
def test_the_loop_inside_the_graph_is_the_loop_around_it(
    variant: Alignment, prediction: Prediction, sampler: Sampler, batch: int, held: int, guidance: Guidance
) -> None:
    host, device = denoisers(variant, prediction)
    timesteps = tuple(timesteps_for(sampler, host.schedule, 5))
    vocals, known = normal(1, batch, 64, FRAMES), np.clip(normal(2, batch, 64, held), *CLAMP)
    sampling = Sampling(sampler, timesteps, guidance, CLAMP)
    expected, made = (list(one.trajectory(vocals, known, sampling, partial(draw, batch))) for one in (host, device))
    assert len(made) == len(expected) == 5
    worst = max(relative_l2(a, b) for a, b in zip(made, expected, strict=True))
    print(f"relative L2 {worst:.1e}")
    assert worst <= LOOP_BOUND
    if held:  # the last step is at x_0, which is known there
        assert relative_l2(made[-1][..., :held], known) <= 1e-6


@pytest.mark.parametrize("variant", list(Alignment))
@pytest.mark.parametrize("guidance", [1.0, 0.0, 3.0])
def test_the_networks_own_output_comes_out_untouched(variant: Alignment, guidance: float) -> None:
    host, device = denoisers(variant, Prediction.V)
    x, vocals = 100 * normal(3, 2, 64, FRAMES), normal(4, 2, 64, FRAMES)  # far outside of the clamp
    expected, made = (one.conditioned(vocals)(x, [700, 30], guidance) for one in (host, device))
    assert relative_l2(made, expected) <= 2e-6
    assert np.abs(expected).max() > CLAMP[1]


def test_the_network_refuses_what_it_refuses_on_the_host() -> None:
    for one in denoisers(Alignment.DOCUMENTED, Prediction.V):
        step = one.conditioned(normal(4, 2, 64, FRAMES))
        for x, t in ((normal(3, 1, 64, FRAMES), [1, 1]), (normal(3, 2, 64, FRAMES), [1, 800])):
            with pytest.raises(ValueError, match="timesteps"):
                step(x, t)


@pytest.mark.parametrize("sampler", [Sampler.UNIPC, Sampler.ANCESTRAL])
def test_a_song_of_several_windows(bundle: Path, sampler: Sampler) -> None:
    """Each window is held to the one before it, so an error in what is held would grow."""
    loaded = Samuel.load(bundle, Provider.CPU, threads=1)
    facts = loaded.manifest.model.model_copy(update={"frames": 2 * FRAMES})
    manifest = loaded.manifest.model_copy(update={"model": facts})
    songs = [
        Samuel(manifest, loaded.codec, one).generate(normal(5, 64, 5 * FRAMES), Settings(sampler, steps=4, seed=3))
        for one in denoisers(Alignment.DOCUMENTED, facts.prediction)
    ]
    assert relative_l2(songs[1], songs[0]) <= LOOP_BOUND


def test_the_fused_step_takes_and_gives_what_the_loop_says() -> None:
    graph = fused(step_graph(miniature_model())).graph
    inputs = {value.name: value.type.tensor_type for value in graph.input}
    assert tuple(value.name for value in graph.output) == fused_step.OUTPUTS
    assert {*fused_step.LATENTS, "held", "update", "x", "scales", "film", "null_keys"} <= set(inputs)
    assert inputs["held"].elem_type == TensorProto.BOOL
    for name in ("x", *fused_step.LATENTS):
        assert [d.dim_param or d.dim_value for d in inputs[name].shape.dim] == ["batch", 64, "frames"]
    assert [d.dim_value for d in inputs["update"].shape.dim] == [fused_step.COEFFICIENTS]


def attention(heads: int, size: int, *, masked: bool) -> onnx.ModelProto:
    """Three inputs (rows, frames, heads * size), as a denoiser's attention has them."""
    g = GraphBuilder("attention")
    q, k, v = (g.input(name, ["rows", f"{name}_frames", heads * size]) for name in ("q", "k", "v"))
    mask = [g.weight(np.triu(np.full((5, 7), -1e4)))] if masked else []
    options = {"scale": float(size**-0.5), "q_num_heads": heads, "kv_num_heads": heads}
    g.output("y", g.op("Attention", q, k, v, *mask, **options), ["rows", "q_frames", heads * size])
    return g.build()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    heads=st.integers(1, 5),
    size=st.integers(1, 24),
    rows=st.integers(1, 3),
    masked=st.booleans(),
    seed=st.integers(0, 9),
)
@example(heads=2, size=15, rows=1, masked=True, seed=0)
@example(heads=2, size=16, rows=1, masked=False, seed=0)
def test_attention_keeps_its_numbers_however_it_is_written(
    heads: int, size: int, rows: int, masked: bool, seed: int
) -> None:
    model = attention(heads, size, masked=masked)
    inputs = {name: normal(seed + i, rows, 5 if name == "q" else 7, heads * size) for i, name in enumerate("qkv")}
    expected = run(session(model), **inputs)["y"]
    padded, unfused = padded_heads(model), unfused_attention(model)
    for other in (padded, unfused):
        np.testing.assert_allclose(run(session(other), **inputs)["y"], expected, rtol=0, atol=2e-6)
    assert [node.op_type for node in unfused.graph.node].count("Attention") == 0
    nodes = [node for node in padded.graph.node if node.op_type != "Identity"]
    if size >= 16:
        assert [node.op_type for node in nodes] == ["Attention"]
    else:
        assert [node.op_type for node in nodes].count("Pad") == 3
        inferred = onnx.shape_inference.infer_shapes(padded, strict_mode=True, data_prop=True).graph.value_info
        widths = {v.name: v.type.tensor_type.shape.dim[2].dim_value for v in inferred if "joined" in v.name}
        assert list(widths.values()) == [16 * heads] * 3


@pytest.mark.parametrize("variant", list(Alignment))
@pytest.mark.parametrize("rewritten", [padded_heads, unfused_attention])
def test_a_step_keeps_its_numbers(variant: Alignment, rewritten: Callable[[onnx.ModelProto], onnx.ModelProto]) -> None:
    step = step_graph(miniature_model(variant))
    before = step.SerializeToString()
    other = rewritten(step)
    assert step.SerializeToString() == before  # the original is not touched
    shapes = {"x": (2, 64, 72), "scales": (2,), "global": (2, 72, 16), "local": (10, 32, 16), "null": (10, 32, 16)}
    inputs = {}
    for seed, value in enumerate(step.graph.input):
        fixed = [2 if dim.dim_param else dim.dim_value for dim in value.type.tensor_type.shape.dim]
        shape = shapes.get(value.name, shapes.get(value.name.split("_")[0], tuple(fixed)))
        inputs[value.name] = normal(seed, *shape)
    assert relative_l2(run(session(other), **inputs)["output"], run(session(step), **inputs)["output"]) <= 1e-6


def test_attention_is_told_nothing_that_the_parser_refuses() -> None:
    """TensorRT's parser does not take softmax_precision, which typing sets."""
    low = convert_precision(attention(2, 16, masked=True), Precision.FP16)
    assert b"softmax_precision" in low.SerializeToString()
    assert b"softmax_precision" not in padded_heads(low).SerializeToString()


def test_transposed_convolutions_are_float32_in_a_bfloat16_graph() -> None:
    low = convert_precision(step_graph(miniature_model()), Precision.BF16)
    wide = float32_deconvolutions(low)
    types = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(wide).graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in wide.graph.initializer}
    found = [node for node in wide.graph.node if node.op_type == "ConvTranspose"]
    assert len(found) == 3
    assert {types[name] for node in found for name in (*node.input, *node.output)} == {TensorProto.FLOAT}
    plain = step_graph(miniature_model())
    assert float32_deconvolutions(plain) == plain


def test_what_is_done_depends_on_the_precision() -> None:
    kinds = {}
    for precision in Precision:
        graph = buildable(convert_precision(step_graph(miniature_model()), precision), precision)
        kinds[precision] = [node.op_type for node in graph.graph.node]
    assert "Attention" not in kinds[Precision.FP32]
    assert kinds[Precision.FP16].count("Attention") == kinds[Precision.BF16].count("Attention") == 4


def test_nodes_are_called_after_what_they_make() -> None:
    graph = named(step_graph(miniature_model())).graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {f"{node.op_type}:{node.output[0]}" for node in graph.node} == set(names)


@pytest.mark.parametrize("precision", list(Precision))
def test_a_bundles_graphs_in_every_precision(bundle: Path, precision: Precision) -> None:
    graphs = engine_graphs(Bundle.open(bundle), precision)
    assert list(graphs) == [GraphName.ENCODER, GraphName.CONDITIONING, GraphName.STEP, GraphName.DECODER]
    low = {Precision.FP16: TensorProto.FLOAT16, Precision.BF16: TensorProto.BFLOAT16}.get(precision)
    for name, graph in graphs.items():
        onnx.checker.check_model(graph, full_check=True)
        ends = [value.type.tensor_type.elem_type for value in (*graph.graph.input, *graph.graph.output)]
        assert set(ends) <= {TensorProto.FLOAT, TensorProto.BOOL}  # the runtime's arrays, whatever is inside
        weights = {tensor.data_type for tensor in graph.graph.initializer}
        assert (low in weights) == (low is not None), name
    assert engine_graphs(Bundle.open(bundle), precision) == graphs  # or no engine could be told from an older one


def test_weights_kept_in_half_are_unpacked_first(bundle: Path) -> None:
    """Typing takes a weight to be an initializer, not a Cast of one."""
    step = step_graph(miniature_model())
    for precision in (Precision.FP16, Precision.FP32):
        halved = pack_weights(step, WeightFormat.FP16)
        assert halved != step
        graph = buildable(convert_precision(fused(unpack_weights(halved)), precision), precision).graph
        assert not [node for node in graph.node if node.op_type == "Cast" and node.input[0].endswith("_fp16")]


def test_typed_bundles_have_engines_of_their_own_precision_only(bundle_copy: Path) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest["graphs"]["step"].update(precision="fp16"))
    for precision in (Precision.BF16, Precision.FP32):
        with pytest.raises(UserError, match=rf"typed in fp16, .* cannot be {precision.value}; use --precision fp16"):
            engine_graphs(Bundle.open(bundle_copy), precision)


def test_a_graph_that_changed_is_not_built_from(bundle_copy: Path) -> None:
    with (bundle_copy / "step.onnx").open("r+b") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match=r"step\.onnx.*SHA-256"):
        engine_graphs(Bundle.open(bundle_copy), Precision.FP16)
