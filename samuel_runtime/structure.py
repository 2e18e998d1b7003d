"""Do the graphs of a bundle have the inputs and outputs that the runtime hands from one to the next?"""

from __future__ import annotations

from collections.abc import Iterator

from samuel_runtime.manifest import GraphFacts, GraphName, Manifest, TensorFacts

_INPUTS = {
    GraphName.ENCODER: {"waveform": "float32"},
    GraphName.DECODER: {"latents": "float32"},
    GraphName.CONDITIONING: {"vocals": "float32"},
    GraphName.TIMESTEPS: {"t": "int64"},
    GraphName.STEP: {"x": "float32", "scales": "float32"},
}
_OUTPUT = {GraphName.ENCODER: "latents", GraphName.DECODER: "waveform", GraphName.STEP: "output"}


def structural_faults(manifest: Manifest) -> Iterator[str]:
    """What is wrong with the graphs' names, types and ranks; nothing if all is well."""
    graphs = manifest.graphs
    handed_on = {t.name: t for name in (GraphName.CONDITIONING, GraphName.TIMESTEPS) for t in graphs[name].outputs}
    for name, expected in _INPUTS.items():
        wanted = {**expected, **({key: t.dtype for key, t in handed_on.items()} if name is GraphName.STEP else {})}
        found = {tensor.name: tensor.dtype for tensor in graphs[name].inputs}
        if found != wanted:
            yield f"{name.value} takes {found}, expected {wanted}"
    for name, output in _OUTPUT.items():
        if [tensor.name for tensor in graphs[name].outputs] != [output]:
            yield f"{name.value} gives {[tensor.name for tensor in graphs[name].outputs]}, expected {output}"
    yield from _mismatched_shapes(handed_on, graphs[GraphName.STEP])


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
