"""The chords' estimator as a graph of any length, its shared weights stored once and repeated when it is loaded."""

from __future__ import annotations

from typing import cast

import onnx

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.layers import batch_norm, convolution, weight
from samuel_runtime.leadsheet.activations import MOMENT_CHANNELS, PITCH_CHANNELS
from samuel_train.listen.chord_estimator.network import MOMENT_TAPS, PITCHES, ChordBlock, ChordNetwork, PitchMix


def chord_graph(network: ChordNetwork) -> onnx.ModelProto:
    """pitches (batch, PITCH_CHANNELS, 12, slots), moments (batch, MOMENT_CHANNELS, slots) -> tones, root, key.

    Outputs are probabilities (batch, slots, ...), as leadsheet/activations.py has them.
    """
    g = GraphBuilder("chords")
    pitches = g.input("pitches", ("batch", PITCH_CHANNELS, PITCHES, "slots"))
    moments = g.input("moments", ("batch", MOMENT_CHANNELS, "slots"))
    of_pitches = _mix(g, pitches, network.pitches)
    of_moments = convolution(g, moments, network.moments, kernel_shape=[MOMENT_TAPS], pads=[MOMENT_TAPS // 2] * 2)
    x = g.op("Add", of_pitches, g.op("Unsqueeze", of_moments, g.ints(2)))
    for block in network.blocks:
        x = _block(g, x, cast("ChordBlock", block))
    leaving, outputs = convolution(g, g.op("Gelu", x), network.leave), network.leave.out_channels
    tones, root, *key = g.split_op("Split", outputs, leaving, axis=1, num_outputs=outputs)  # (batch, 1, 12, slots) each
    logits = {"tones": tones, "root": root, "key": g.op("Concat", *key, axis=2)}
    for name, value in logits.items():
        by_slot = g.op("Transpose", g.op("Squeeze", value, g.ints(1)), perm=[0, 2, 1])
        likely = g.op("Sigmoid", by_slot) if name == "tones" else g.op("Softmax", by_slot, axis=2)
        g.output(name, likely, ("batch", "slots", 2 * PITCHES if name == "key" else PITCHES))
    return g.build()


def _block(g: GraphBuilder, x: str, block: ChordBlock) -> str:
    normed = batch_norm(g, x, block.norm)
    _, dilation = block.spread.dilation
    pads = [0, dilation] * 2
    spread = convolution(g, normed, block.spread, kernel_shape=[1, 3], dilations=[1, dilation], pads=pads)
    return g.op("Add", x, _mix(g, g.op("Gelu", spread), block.mix))


def _mix(g: GraphBuilder, x: str, mix: PitchMix) -> str:
    outputs, inputs, _ = mix.weight.shape
    repeated = g.op("Gather", weight(g, mix.weight), g.weight(mix.offsets.numpy()), axis=2)
    whole = g.op("Reshape", g.op("Transpose", repeated, perm=[0, 2, 1, 3]), g.ints(outputs * PITCHES, inputs * PITCHES))
    mixed = g.op("MatMul", whole, g.op("Reshape", x, g.ints(0, inputs * PITCHES, -1)))
    by_pitch = g.op("Reshape", mixed, g.ints(0, outputs, PITCHES, -1))
    return g.op("Add", by_pitch, weight(g, mix.bias[:, None, None]))
