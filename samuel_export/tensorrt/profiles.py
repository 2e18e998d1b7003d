"""Optimisation profiles: the usual shape alone, for speed, and a range, for shorter songs and for batches."""

from __future__ import annotations

import onnx

from samuel_runtime.bundle.manifest import GraphName, Manifest, ShapeRange
from samuel_runtime.diffusion.fused_step import BRANCHES
from samuel_train.model.config import LEVELS

MOST_TOGETHER = 8
"""Largest batch size."""

Sizes = dict[str, int]
"""Sizes of the dynamic axes by name."""


def profiles_of(name: GraphName, model: onnx.ModelProto, manifest: Manifest) -> tuple[dict[str, ShapeRange], ...]:
    """Ranges of every input's shape: first the usual shape alone, then all that the runtime asks for."""
    usual, least, most = _sizes(name, manifest)
    exact, wide = (usual, usual, usual), (least, usual, most)
    return tuple(
        {
            value.name: ShapeRange(least=_shape(value, a), usual=_shape(value, b), most=_shape(value, c))
            for value in model.graph.input
        }
        for a, b, c in (exact, wide)
    )


def _sizes(name: GraphName, manifest: Manifest) -> tuple[Sizes, Sizes, Sizes]:
    """Usual, smallest and largest."""
    model, codec = manifest.model, manifest.codec
    if name in (GraphName.CONDITIONING, GraphName.STEP):
        full, short = model.frames, model.frames_min
        return _window(1, full), _window(1, short), _window(MOST_TOGETHER, full)
    context = codec.encoder_context_frames if name is GraphName.ENCODER else codec.decoder_context_frames
    read = codec.chunk_frames + 2 * context
    # Chunks are all of one length, or the song is shorter than they are, and it is no shorter than the model's windows.
    return _chunk(read, manifest), _chunk(min(model.frames_min, read), manifest), _chunk(read, manifest)


def _window(batch: int, frames: int) -> Sizes:
    coarser = {f"frames_{2**level}": frames // 2**level for level in range(1, LEVELS + 1)}
    return {"batch": batch, "frames": frames, **coarser, "branches": BRANCHES}


def _chunk(frames: int, manifest: Manifest) -> Sizes:
    return {"frames": frames, "samples": frames * manifest.codec.hop_samples}


def _shape(value: onnx.ValueInfoProto, sizes: Sizes) -> tuple[int, ...]:
    dims = value.type.tensor_type.shape.dim
    found = [d.dim_value if not d.dim_param else sizes.get(d.dim_param, 0) for d in dims]
    if dims and dims[0].dim_param == "batch_blocks":  # (batch * blocks, 2 window, n)
        found[0] = sizes["batch"] * -(-sizes["frames"] // (dims[1].dim_value // 2))
    return tuple(found)
