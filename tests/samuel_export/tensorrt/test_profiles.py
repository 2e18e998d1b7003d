"""Whatever shape the runtime asks an engine for, one of its profiles has it; the usual one has a profile of its own."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_export.tensorrt.graphs import engine_graphs
from samuel_export.tensorrt.profiles import MOST_TOGETHER, profiles_of
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import ENGINE_GRAPHS, GraphName, Manifest, ShapeRange
from samuel_runtime.codec.chunks import chunks
from samuel_runtime.diffusion.windows import OVERLAP_FRAMES, windows
from samuel_runtime.leadsheet.raster import CHANNELS
from samuel_runtime.settings import Precision
from tests.support.export.sessions import run, session

Profiles = tuple[dict[str, ShapeRange], ...]


@cache
def packaged() -> tuple[Manifest, dict[GraphName, onnx.ModelProto]]:
    bundle = Bundle.open()
    return bundle.manifest, engine_graphs(bundle, Precision.FP32)


@cache
def profiles(name: GraphName) -> Profiles:
    manifest, graphs = packaged()
    return profiles_of(name, graphs[name], manifest)


def fits(profile: dict[str, ShapeRange], shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether a profile has these shapes of all inputs."""
    assert set(profile) == set(shapes)
    return all(
        len(shape) == len(profile[name].least)
        and all(a <= n <= b for a, n, b in zip(profile[name].least, shape, profile[name].most, strict=True))
        for name, shape in shapes.items()
    )


def conditioning_shapes(batch: int, frames: int) -> dict[str, tuple[int, ...]]:
    """Of the voice and its lead sheet."""
    return {"vocals": (batch, 64, frames), "sheet": (batch, CHANNELS, frames)}


def step_shapes(batch: int, frames: int) -> dict[str, tuple[int, ...]]:
    """Of every input of the fused step, as the conditioning graph and the loop make them."""
    _, graphs = packaged()
    given = {name: np.zeros(shape, np.float32) for name, shape in conditioning_shapes(batch, frames).items()}
    memory = run(session(graphs[GraphName.CONDITIONING]), **given)
    made = {name: value.shape for name, value in memory.items()}
    latents = dict.fromkeys(("x", "anchor", "before", "noise", "known"), (batch, 64, frames))
    others = {"scales": (2,), "held": (1, 1, frames), "update": (14,)}
    inputs = {v.name: v.type.tensor_type.shape.dim for v in graphs[GraphName.STEP].graph.input}
    terms = {name: (batch, d[1].dim_value) for name, d in inputs.items() if name not in {**made, **latents, **others}}
    return {**made, **latents, **others, **terms}


@pytest.mark.parametrize("name", [GraphName.CONDITIONING, GraphName.STEP])
@pytest.mark.parametrize("batch", [1, MOST_TOGETHER])
@pytest.mark.parametrize("frames", ["least", 136, "most"])
def test_windows_of_every_length_and_batch(name: GraphName, batch: int, frames: str | int) -> None:
    model = packaged()[0].model
    count = {"least": model.frames_min, "most": model.frames}.get(str(frames), frames)
    shapes_of = step_shapes if name is GraphName.STEP else conditioning_shapes
    shapes = shapes_of(batch, int(count))
    exact, wide = profiles(name)
    assert fits(wide, shapes)
    assert fits(exact, shapes) == ((batch, count) == (1, model.frames))
    assert not fits(wide, shapes_of(9, model.frames_min))


@settings(deadline=None, max_examples=200, derandomize=True)
@given(eighths=st.integers(16, 2000))
def test_songs_of_every_length(eighths: int) -> None:
    """A song is never shorter than the model's shortest window, whose codec chunks are as long as itself."""
    manifest, frames = packaged()[0], 8 * eighths
    model, codec = manifest.model, manifest.codec
    assert frames >= model.frames_min
    for window in windows(frames, model.frames, OVERLAP_FRAMES):
        assert fits(profiles(GraphName.CONDITIONING)[1], conditioning_shapes(1, window.frames))
    for chunk in chunks(frames, codec.chunk_frames, codec.encoder_context_frames):
        samples = (chunk.read_stop - chunk.read_start) * codec.hop_samples
        assert fits(profiles(GraphName.ENCODER)[1], {"waveform": (1, 2, samples)})
    for chunk in chunks(frames, codec.chunk_frames, codec.decoder_context_frames):
        assert fits(profiles(GraphName.DECODER)[1], {"latents": (1, 64, chunk.read_stop - chunk.read_start)})


@pytest.mark.parametrize("name", sorted(ENGINE_GRAPHS))
def test_the_first_profile_is_the_usual_shape_alone(name: GraphName) -> None:
    exact, wide = profiles(name)
    for tensor, one in exact.items():
        assert one.least == one.usual == one.most == wide[tensor].usual, tensor
        assert all(size > 0 for size in one.usual)


def test_the_usual_chunk_is_that_of_a_long_song() -> None:
    manifest, _ = packaged()
    codec = manifest.codec
    reads = {c.read_stop - c.read_start for c in chunks(1024, codec.chunk_frames, codec.decoder_context_frames)}
    assert {(1, 64, frames) for frames in reads} == {profiles(GraphName.DECODER)[0]["latents"].usual}
    reads = {c.read_stop - c.read_start for c in chunks(1024, codec.chunk_frames, codec.encoder_context_frames)}
    usual = profiles(GraphName.ENCODER)[0]["waveform"].usual
    assert {(1, 2, frames * codec.hop_samples) for frames in reads} == {usual}


def test_a_model_whose_shortest_window_is_longer_than_a_chunk() -> None:
    """Its songs' chunks are all of one length, longer than the shortest window would have them."""
    manifest, graphs = packaged()
    codec = manifest.codec.model_copy(update={"chunk_frames": 32})
    facts = manifest.model.model_copy(update={"frames_min": 256})
    manifest = manifest.model_copy(update={"codec": codec, "model": facts})
    made = profiles_of(GraphName.DECODER, graphs[GraphName.DECODER], manifest)
    for frames in (256, 264, 1024):
        for chunk in chunks(frames, 32, codec.decoder_context_frames):
            read = chunk.read_stop - chunk.read_start
            assert any(fits(one, {"latents": (1, 64, read)}) for one in made)
    for profile in made:
        for one in profile.values():
            assert all(a <= b <= c for a, b, c in zip(one.least, one.usual, one.most, strict=True))
