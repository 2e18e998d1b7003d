"""The estimator as a graph of any length: its layers as in PyTorch, its outputs as probabilities by frame."""

from __future__ import annotations

from typing import cast

import onnx

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.layers import batch_norm, convolution
from samuel_runtime.melody import MELODY_CHANNELS
from samuel_train.listen.estimator.network import (
    ENTRY_FRAMES,
    KEYS,
    ROOTS,
    STEP_FRAMES,
    TONES,
    DilatedBlock,
    EstimatorNetwork,
)


def estimator_graph(network: EstimatorNetwork) -> onnx.ModelProto:
    """melody (batch, MELODY_CHANNELS, frames) -> the activations of leadsheet/activations.py (batch, frames, ...).

    Frames are a multiple of ``STEP_FRAMES``.
    """
    g = GraphBuilder("estimator")
    melody = g.input("melody", ("batch", MELODY_CHANNELS, "frames"))
    x = convolution(
        g, melody, network.enter, kernel_shape=[ENTRY_FRAMES], strides=[STEP_FRAMES], pads=[STEP_FRAMES] * 2
    )
    for block in network.blocks:
        x = _block(g, x, cast("DilatedBlock", block))
    x = g.op("Gelu", x)
    pulses = g.op("Sigmoid", convolution(g, x, network.pulses))
    names = ("beat", "downbeat")
    for name, of_steps in zip(names, g.split_op("Split", len(names), pulses, axis=1, num_outputs=2), strict=True):
        in_order = g.op("Transpose", of_steps, perm=[0, 2, 1])  # (batch, steps, frames of a step)
        g.output(name, g.op("Reshape", in_order, g.ints(0, -1)), ("batch", "frames"))
    sizes = {"tones": TONES, "root": ROOTS, "key": KEYS}
    chords = g.op("Transpose", convolution(g, x, network.chords), perm=[0, 2, 1])
    logits = g.split_op("Split", len(sizes), chords, g.ints(*sizes.values()), axis=2)
    for (name, size), value in zip(sizes.items(), logits, strict=True):
        likely = g.op("Sigmoid", value) if name == "tones" else g.op("Softmax", value, axis=2)
        # Each step stands for its frames: (batch, steps, frames of a step * size) -> (batch, frames, size).
        repeated = g.op("Reshape", g.op("Tile", likely, g.ints(1, 1, STEP_FRAMES)), g.ints(0, -1, size))
        g.output(name, repeated, ("batch", "frames", size))
    return g.build()


def _block(g: GraphBuilder, x: str, block: DilatedBlock) -> str:
    normed = batch_norm(g, x, block.norm)
    (dilation,) = block.spread.dilation
    spread = convolution(g, normed, block.spread, kernel_shape=[3], dilations=[dilation], pads=[dilation] * 2)
    return g.op("Add", x, convolution(g, g.op("Gelu", spread), block.mix))
