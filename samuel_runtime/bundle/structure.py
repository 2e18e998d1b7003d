"""Do the graphs of a bundle have the inputs and outputs that the runtime hands from one to the next?"""

from __future__ import annotations

from collections.abc import Iterator

from samuel_runtime.bundle.manifest import DecoderKind, GraphFacts, GraphName, Manifest, TensorFacts
from samuel_runtime.codec.spectrum import HOP_SAMPLES, SAMPLE_RATE_HZ, SPECTRUM_WIDTHS
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES, HARMONY_SIZES, MOMENT_CHANNELS, PITCH_CHANNELS
from samuel_runtime.melody.features import MELODY_CHANNELS

_INPUTS = {
    GraphName.ENCODER: {"waveform": "float32"},
    GraphName.DECODER: {"latents": "float32"},
    GraphName.CONDITIONING: {"vocals": "float32"},
    GraphName.TIMESTEPS: {"t": "int64"},
    GraphName.STEP: {"x": "float32", "scales": "float32"},
}
_WITH_SHEET = {"vocals": "float32", "sheet": "float32"}
_OUTPUTS = {GraphName.ENCODER: ("latents",), GraphName.STEP: ("output",)}
_SPECTRUM_AXES = 3  # song, step, value
_DECODER_OUTPUTS = {DecoderKind.WAVEFORM: ("waveform",), DecoderKind.SPECTRUM: tuple(SPECTRUM_WIDTHS)}


def structural_faults(manifest: Manifest) -> Iterator[str]:
    """What is wrong with the graphs' names, types and ranks; nothing if all is well."""
    graphs = manifest.graphs
    handed_on = {t.name: t for name in (GraphName.CONDITIONING, GraphName.TIMESTEPS) for t in graphs[name].outputs}
    sheet_channels = manifest.model.sheet_channels
    inputs = {**_INPUTS, **({GraphName.CONDITIONING: _WITH_SHEET} if sheet_channels else {})}
    for name, expected in inputs.items():
        wanted = {**expected, **({key: t.dtype for key, t in handed_on.items()} if name is GraphName.STEP else {})}
        found = {tensor.name: tensor.dtype for tensor in graphs[name].inputs}
        if found != wanted:
            yield f"{name.value} takes {found}, expected {wanted}"
    outputs = {**_OUTPUTS, GraphName.DECODER: _DECODER_OUTPUTS[manifest.codec.decoder]}
    for name, wanted_names in outputs.items():
        given = tuple(tensor.name for tensor in graphs[name].outputs)
        if given != wanted_names:
            yield f"{name.value} gives {', '.join(given)}, expected {', '.join(wanted_names)}"
    if manifest.codec.decoder is DecoderKind.SPECTRUM:
        yield from _mismatched_spectrum(manifest)
    for tensor in graphs[GraphName.CONDITIONING].inputs:
        if tensor.name == "sheet" and tensor.shape[1:2] != (sheet_channels,):
            yield f"conditioning takes sheet as {tensor.shape}, expected (batch, {sheet_channels}, frames)"
    if GraphName.ESTIMATOR in graphs:
        yield from _mismatched_estimator(graphs[GraphName.ESTIMATOR])
    if GraphName.CHORDS in graphs:
        yield from _mismatched_chords(graphs[GraphName.CHORDS])
    yield from _mismatched_shapes(handed_on, graphs[GraphName.STEP])


def _mismatched_spectrum(manifest: Manifest) -> Iterator[str]:
    """The synthesis knows one grid: its rate, its frames and the widths of what is predicted."""
    codec, outputs = manifest.codec, manifest.graphs[GraphName.DECODER].outputs
    grid = (codec.sample_rate_hz, codec.channels, codec.hop_samples % HOP_SAMPLES)
    if grid != (SAMPLE_RATE_HZ, 2, 0):
        yield f"a spectral decoder is for {SAMPLE_RATE_HZ} Hz, two channels and frames of {HOP_SAMPLES} samples"
    for tensor in outputs:
        width = SPECTRUM_WIDTHS.get(tensor.name)
        if len(tensor.shape) != _SPECTRUM_AXES or tensor.shape[-1] != width:
            yield f"decoder gives {tensor.name} as {tensor.shape}, expected (1, steps, {width})"


def _mismatched_estimator(graph: GraphFacts) -> Iterator[str]:
    """What it takes and gives is one and the same for every bundle."""
    taken = [(tensor.name, tensor.dtype, tensor.shape[1:2], len(tensor.shape)) for tensor in graph.inputs]
    if taken != [("melody", "float32", (MELODY_CHANNELS,), 3)]:
        yield f"estimator takes {taken}, expected melody (batch, {MELODY_CHANNELS}, frames)"
    given = {tensor.name: tensor.shape[2:] for tensor in graph.outputs}
    if given != ACTIVATION_SIZES:
        yield f"estimator gives {given}, expected {ACTIVATION_SIZES} beside (batch, frames)"


def _mismatched_chords(graph: GraphFacts) -> Iterator[str]:
    """As with the estimator, the same for every bundle."""
    wanted = {"pitches": ("float32", (PITCH_CHANNELS, 12), 4), "moments": ("float32", (MOMENT_CHANNELS,), 3)}
    taken = {t.name: (t.dtype, t.shape[1:-1], len(t.shape)) for t in graph.inputs}
    if taken != wanted:
        yield f"chords takes {taken}, expected {wanted} between batch and slots"
    given = {tensor.name: tensor.shape[2:] for tensor in graph.outputs}
    if given != HARMONY_SIZES:
        yield f"chords gives {given}, expected {HARMONY_SIZES} beside (batch, slots)"


def _mismatched_shapes(handed_on: dict[str, TensorFacts], step: GraphFacts) -> Iterator[str]:
    """Sizes that both ends fix must agree; an axis that varies at either end may be anything."""
    for tensor in step.inputs:
        given = handed_on.get(tensor.name)
        if given is None:
            continue
        pairs = zip(given.shape, tensor.shape, strict=False)
        fixed = [(a, b) for a, b in pairs if isinstance(a, int) and isinstance(b, int)]
        if len(given.shape) != len(tensor.shape) or any(a != b for a, b in fixed):
            yield f"{tensor.name} is {given.shape} where it is made and {tensor.shape} where it is used"
