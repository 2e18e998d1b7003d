"""The three written graphs together, against the network, against the published results, and node by node."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import onnx
import pytest

from samuel_runtime.bundle.onnx_guard import check_onnx
from samuel_runtime.diffusion.samplers import sample, trailing_timesteps
from samuel_runtime.diffusion.schedule import Prediction, Schedule, x0_denoiser
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Sampler
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser
from tests.support.export.sessions import DenoiserGraphs, Sessions, predict, session
from tests.support.export.timestep_tables import write_whole_tables
from tests.support.miniature import miniature_model
from tests.support.weights import DATA, golden_state_dict, normal, relative_l2

TORCH_BOUND = 5e-6  # measured 2e-6
GOLDEN_BOUND = 1e-4  # measured 1.4e-6 for one forward, 3.5e-5 for the sampling loop
GOLDEN = np.load(DATA / "golden.npz")


@cache
def miniature(
    variant: Alignment = Alignment.DOCUMENTED, **beyond_the_paper: int
) -> tuple[Denoiser, DenoiserGraphs, Sessions]:
    model = miniature_model(variant, **beyond_the_paper)
    with pytest.MonkeyPatch.context() as patch:
        if beyond_the_paper:  # the factors of one table are enough
            write_whole_tables(patch)
        graphs = DenoiserGraphs.of(model)
    return model, graphs, Sessions(graphs)


@pytest.mark.parametrize("variant", list(Alignment))
@pytest.mark.parametrize(
    ("frames", "t"), [(8, [0]), (8, [799, 37]), (16, [400, 0, 799]), (72, [400, 0, 799]), (72, [799]), (1024, [37])]
)
def test_conditional_output(variant: Alignment, frames: int, t: list[int]) -> None:
    model, _, graphs = miniature(variant)
    x, vocals = normal(1, len(t), 64, frames), normal(2, len(t), 64, frames)
    assert relative_l2(graphs.step(x, t, [1.0], graphs.memory(vocals)), predict(model, x, vocals, t)) <= TORCH_BOUND


@pytest.mark.parametrize("variant", list(Alignment))
@pytest.mark.parametrize(("frames", "t"), [(72, [799]), (16, [250, 3]), (264, [401])])
@pytest.mark.parametrize("scales", [[3.0, -2.0], [0.5, 0.25]])
def test_guidance_is_the_scaled_sum_of_voice_and_silence(
    variant: Alignment, frames: int, t: list[int], scales: list[float]
) -> None:
    model, _, graphs = miniature(variant)
    x, vocals = normal(1, len(t), 64, frames), normal(2, len(t), 64, frames)
    conditional, null = predict(model, x, vocals, t), predict(model, x, np.zeros_like(x), t)
    expected = scales[0] * conditional + scales[1] * null
    assert relative_l2(graphs.step(x, t, scales, graphs.memory(vocals)), expected) <= TORCH_BOUND


@pytest.mark.parametrize("variant", list(Alignment))
def test_songs_of_a_batch_do_not_touch(variant: Alignment) -> None:
    _, _, graphs = miniature(variant)
    x, vocals, scales = normal(1, 2, 64, 72), normal(2, 2, 64, 72), [2.0, -1.0]
    together = graphs.step(x, [700, 20], scales, graphs.memory(vocals))
    for i, t in enumerate([700, 20]):
        alone = graphs.step(x[i : i + 1], [t], scales, graphs.memory(vocals[i : i + 1]))
        assert relative_l2(together[i : i + 1], alone) <= TORCH_BOUND


@pytest.mark.parametrize("scales", [[1.0], [3.0, -2.0]])
@pytest.mark.parametrize(("frames", "t"), [(8, [799]), (72, [250, 3]), (264, [401])])
def test_a_listener_is_added_for_the_voice_alone(scales: list[float], frames: int, t: list[int]) -> None:
    model, _, graphs = miniature(vocal_context_width=16)
    x, vocals = normal(1, len(t), 64, frames), normal(2, len(t), 64, frames)
    silent = np.zeros_like(x)
    expected = sum(scale * predict(model, x, voice, t) for scale, voice in zip(scales, (vocals, silent), strict=False))
    memory = graphs.memory(vocals)
    assert relative_l2(graphs.step(x, t, scales, memory), expected) <= TORCH_BOUND
    memory["heard"] = np.zeros_like(memory["heard"])
    assert relative_l2(graphs.step(x, t, scales, memory), expected) > 1e-2


@pytest.mark.parametrize("scales", [[1.0], [3.0, -2.0]])
@pytest.mark.parametrize(("frames", "t"), [(8, [799]), (72, [250, 3]), (264, [401])])
def test_a_voice_is_standardised_in_the_graph(scales: list[float], frames: int, t: list[int]) -> None:
    model, _, graphs = miniature(vocal_context_width=16, standardised_voice=True)
    x, vocals = normal(1, len(t), 64, frames), normal(2, len(t), 64, frames)
    expected = sum(
        scale * predict(model, x, voice, t) for scale, voice in zip(scales, (vocals, np.zeros_like(x)), strict=False)
    )
    elsewhere = 1.5 * vocals + normal(3, 64, 1)
    assert relative_l2(graphs.step(x, t, scales, graphs.memory(vocals)), expected) <= TORCH_BOUND
    assert relative_l2(graphs.step(x, t, scales, graphs.memory(elsewhere)), expected) < 0.1
    silence = graphs.memory(np.zeros_like(vocals))
    assert relative_l2(graphs.step(x, t, [1.0], silence), predict(model, x, np.zeros_like(x), t)) <= TORCH_BOUND


@pytest.mark.parametrize("scales", [[1.0], [3.0, -2.0]])
@pytest.mark.parametrize(("frames", "t"), [(8, [799]), (72, [250, 3]), (264, [401])])
def test_a_lead_sheet_modulates_the_voiced_branch_alone(scales: list[float], frames: int, t: list[int]) -> None:
    model, _, graphs = miniature(sheet_width=12, vocal_context_width=16)
    x, vocals, sheet = normal(1, len(t), 64, frames), normal(2, len(t), 64, frames), normal(3, len(t), 34, frames)
    sung, silent = predict(model, x, vocals, t, sheet), predict(model, x, np.zeros_like(x), t)
    expected = sum(scale * branch for scale, branch in zip(scales, (sung, silent), strict=False))
    assert relative_l2(graphs.step(x, t, scales, graphs.memory(vocals, sheet)), expected) <= TORCH_BOUND
    unknown = graphs.step(x, t, [1.0], graphs.memory(vocals, np.zeros_like(sheet)))
    assert relative_l2(unknown, predict(model, x, vocals, t)) <= TORCH_BOUND
    assert relative_l2(unknown, sung) > 1e-2


def test_the_variants_differ() -> None:
    x, vocals, t = normal(1, 1, 64, 72), normal(2, 1, 64, 72), [300]
    a, b = (miniature(variant)[2] for variant in Alignment)
    assert relative_l2(a.step(x, t, [1.0], a.memory(vocals)), b.step(x, t, [1.0], b.memory(vocals))) > 1e-2


def test_what_one_graph_gives_is_what_the_step_takes() -> None:
    _, graphs, _ = miniature(Alignment.DOCUMENTED)
    step = {value.name: signature(value) for value in graphs.step.graph.input}
    assert step.pop("x") == (onnx.TensorProto.FLOAT, ("batch", 64, "frames"))
    assert step.pop("scales") == (onnx.TensorProto.FLOAT, ("branches",))
    given = {value.name: signature(value) for value in graphs.timesteps.graph.output}
    for value in graphs.conditioning.graph.output:
        given[value.name] = signature(value)
    assert given == step
    assert [signature(value) for value in graphs.step.graph.output] == [
        (onnx.TensorProto.FLOAT, ("batch", 64, "frames"))
    ]
    assert [(v.name, *signature(v)) for v in graphs.timesteps.graph.input] == [
        ("t", onnx.TensorProto.INT64, ("batch",))
    ]
    assert [v.name for v in graphs.conditioning.graph.input] == ["vocals"]


def test_shapes_are_what_the_graphs_declare() -> None:
    _, graphs, running = miniature(Alignment.DOCUMENTED)
    memory = running.memory(normal(1, 3, 64, 40))
    sizes = {"batch": 3, "frames": 40, "batch_blocks": 3 * 3}  # 40 frames are 3 blocks of 16
    for value in graphs.conditioning.graph.output:
        assert memory[value.name].shape == tuple(sizes.get(axis, axis) for axis in signature(value)[1])


@pytest.mark.parametrize("variant", list(Alignment))
def test_graphs_are_self_contained_and_standard(variant: Alignment) -> None:
    for name, graph in vars(miniature(variant)[1]).items():
        check_onnx(graph.SerializeToString(), name)
        assert {node.domain for node in graph.graph.node} == {""}
        assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 23)]
    graph.graph.node[0].domain = "elsewhere"
    changed = graph.SerializeToString()
    graph.graph.node[0].domain = ""
    with pytest.raises(UserError, match="elsewhere"):
        check_onnx(changed, "changed")


@pytest.mark.parametrize("variant", list(Alignment))
def test_census_of_the_nodes_that_cost_time(variant: Alignment) -> None:
    """Fused attention, no windows gathered, and none of the context's transposed convolutions."""
    graphs = miniature(variant)[1]
    assert census(graphs.step) == {
        "Attention": 4,  # two alignments, local and global each
        "RotaryEmbedding": 3,  # first alignment's queries, the bottleneck's queries and keys
        "Conv": 27,  # 1 in, 2 + 3 in the alignments, 7 x 2 in residual blocks, 3 x 2 down, 1 out
        "ConvTranspose": 3,
        "InstanceNormalization": 7 * 2 + 3 * 2,
        "Gather": 2,  # the context's first and last frame
        "ReduceMean": 4,
        "ReduceSum": 1,  # of the guidance branches
        "MatMul": 1 + 3 + 1 + 3,  # FiLMs' shares of the context
    }
    inputs = [len(node.input) for node in graphs.step.graph.node if node.op_type == "Attention"]
    assert inputs == [4, 3, 4, 3]  # the local ones have a band mask
    assert census(graphs.conditioning) == {"Conv": 3, "RotaryEmbedding": 1}
    assert census(graphs.timesteps) == {"MatMul": 3, "Gather": 2}
    assert sum(len(graph.graph.node) for graph in vars(graphs).values()) <= 520  # 514 and 512 as written


@cache
def published() -> tuple[Denoiser, Sessions]:
    model = Denoiser(ModelConfig(alignment=Alignment.PUBLISHED_CODE, prediction=Prediction.EPSILON))
    model.load_state_dict(golden_state_dict(), strict=True)
    with pytest.MonkeyPatch.context() as patch:
        write_whole_tables(patch)
        return model, Sessions(DenoiserGraphs.of(model.eval()))


@pytest.mark.parametrize(("seed", "t"), [(11, [0]), (12, [400]), (13, [799, 37])])
def test_published_network_output(seed: int, t: list[int]) -> None:
    model, graphs = published()
    x, vocals = normal(seed, len(t), 64, 1024), normal(seed + 1000, len(t), 64, 1024)
    output = graphs.step(x, t, [1.0], graphs.memory(vocals))
    assert relative_l2(output, GOLDEN[f"v_seed{seed}"]) <= GOLDEN_BOUND
    assert relative_l2(output, predict(model, x, vocals, t)) <= TORCH_BOUND


@cache
def sampled() -> list[np.ndarray]:
    """The latents after each of the published loop's 8 steps, guidance inside the graph."""
    schedule, clamp, graphs = Schedule.cosine(8), (-6.0, 6.0), published()[1]
    vocals = normal(1021, 1, 64, 1024)
    memory = graphs.memory(vocals)

    def network(x: np.ndarray, t: int) -> np.ndarray:
        return graphs.step(x, [t], [3.0, -2.0], memory)

    denoise = x0_denoiser(network, Prediction.EPSILON, schedule, clamp)

    def draw(t: int) -> np.ndarray:
        return normal(21000 + 7 - t, 1, 64, 1024)  # the k-th noise drawn, k = 0 at t = 7

    start, timesteps = normal(21, 1, 64, 1024), trailing_timesteps(schedule, 8)
    return list(sample(Sampler.ANCESTRAL, denoise, start, schedule, timesteps, draw, clamp))


@pytest.mark.parametrize(("name", "step"), [("first", 0), ("final", 7)])
def test_published_sampling_loop(name: str, step: int) -> None:
    assert relative_l2(sampled()[step], GOLDEN[f"sample_seed21_{name}"]) <= GOLDEN_BOUND


def test_a_documented_model_of_the_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole_tables(monkeypatch)
    model = Denoiser(ModelConfig())
    model.load_state_dict(golden_state_dict(), strict=True)
    graphs = Sessions(DenoiserGraphs.of(model.eval()))
    x, vocals, t = normal(1, 1, 64, 72), normal(2, 1, 64, 72), [222]
    assert relative_l2(graphs.step(x, t, [1.0], graphs.memory(vocals)), predict(model, x, vocals, t)) <= TORCH_BOUND


def signature(value: onnx.ValueInfoProto) -> tuple[int, tuple[int | str, ...]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)


def census(graph: onnx.ModelProto) -> dict[str, int]:
    """Counts of every kind of node that computes with, or gathers, activations."""
    quiet = {
        "Add", "Cast", "Concat", "Cos", "Div", "Expand", "Identity", "Mod", "Mul", "Pad", "Range", "Reshape", "Shape",
        "Sigmoid", "Sin", "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
    }  # fmt: skip
    return {kind: count for kind, count in Counter(n.op_type for n in graph.graph.node).items() if kind not in quiet}


def test_sessions_open_without_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    session(miniature(Alignment.DOCUMENTED)[1].step)
    assert capfd.readouterr().err == ""
