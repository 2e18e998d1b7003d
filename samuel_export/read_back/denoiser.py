"""A denoiser's weights out of its graphs, so that training can go on from a bundle whose checkpoint is gone.

The graphs of a random network of the same config tell which constant holds what: every rewritten weight of that network
is looked up among its graphs' constants by its values. What the rewrites kept comes back as it is. What they folded
comes back as another network that computes the same: a product of two projections with the identity for one of them,
and the decoder's context from its factors of least rank. Two small parts are approximate: the timestep's share of every
FiLM by least squares, and the first and last frame of the decoder's context, which count as one frame among all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from samuel_export.graphs import rewrites
from samuel_export.graphs.denoiser import conditioning_graph, step_graph, timesteps_graph
from samuel_export.precision.weights import unpack_weights
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision
from samuel_train.model.attention import SoftAlignment
from samuel_train.model.checkpoint import Checkpoint
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.embedding import timestep_embedding
from samuel_train.model.unet import FiLM, ResidualBlock

_RIDGE = 1e-6  # of the largest singular value, below which least squares takes none
_HIDDEN_STD = 0.05  # of the timestep's MLP, which stays random: its 512 features are enough for a smooth table
_TABLES = ("w0", "w1", "w2")  # of the timesteps graph: rows, columns and mean of the FiLM table


def read_denoiser(bundle: Path, config: ModelConfig) -> Checkpoint:
    """A bundle's denoiser as a checkpoint.

    Raises:
        UserError: the bundle is not in order, typed in a lower precision, or its denoiser of another config.
    """
    opened = Bundle.open(bundle)
    if (precision := opened.manifest.graphs[GraphName.STEP].precision) is not Precision.FP32:
        raise UserError(f"{bundle}: its denoiser is typed in {precision.value}; only one in fp32 can be read back")
    names = (GraphName.CONDITIONING, GraphName.TIMESTEPS, GraphName.STEP)
    graphs = DenoiserGraphs(*(onnx.load_model_from_string(opened.read_graph(name)) for name in names))
    try:
        model = denoiser_of(graphs, config)
    except UserError as error:
        raise UserError(f"{bundle}: {error}; give --config the settings that it was trained with") from error
    manifest = opened.manifest
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    return Checkpoint(config, manifest.statistics, weights, dict(manifest.provenance), manifest.model.frames_min)


@dataclass(frozen=True)
class DenoiserGraphs:
    """The graphs of one denoiser, see graphs/denoiser.py."""

    conditioning: onnx.ModelProto
    timesteps: onnx.ModelProto
    step: onnx.ModelProto


@torch.no_grad()
def denoiser_of(graphs: DenoiserGraphs, config: ModelConfig) -> Denoiser:
    """A network that computes what the graphs compute, ready for inference.

    Raises:
        UserError: the graphs are not those of a network of this config.
    """
    torch.manual_seed(0)
    model = Denoiser(config)
    for parameter in model.parameters():
        nn.init.normal_(parameter)  # fresh ones are often equal, and then values would not tell them apart
    lookup = _Lookup(model, graphs)
    _fill_direct(model, lookup)
    table = lookup.film_table(graphs.timesteps)
    films = rewrites.films_of(model)
    _fill_context(model, lookup, films)
    _fill_film_terms(model, table, films)
    return model.eval()


class _Lookup:
    """The given graphs' constants, by the values that stand in their place in the graphs of a known network."""

    def __init__(self, known: Denoiser, given: DenoiserGraphs) -> None:
        written = DenoiserGraphs(conditioning_graph(known), timesteps_graph(known), step_graph(known))
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        for kind in ("conditioning", "timesteps", "step"):
            here, there = (_constants(getattr(graphs, kind)) for graphs in (written, given))
            if here.keys() != there.keys():
                raise UserError(f"the {kind} graph is not that of this config, or was written by another version")
            self._pairs += [(here[name], there[name]) for name in here if here[name].shape == there[name].shape]

    def __call__(self, known: np.ndarray | Tensor) -> Tensor:
        """What stands where the known network has these values, in their shape; graphs may have it in another."""
        values = np.asarray(known, np.float32)
        for here, there in self._pairs:
            if here.size == values.size and np.array_equal(here.ravel(), values.ravel()):
                return torch.from_numpy(there.astype(np.float32).reshape(values.shape))
        raise UserError(f"no constant of the graphs holds the weights of shape {values.shape}")

    @staticmethod
    def film_table(timesteps: onnx.ModelProto) -> np.ndarray:
        """(timesteps, n) float64, see graphs/timestep_table.py."""
        constants = _constants(timesteps)
        rows, columns, mean = (constants[name].astype(np.float64) for name in _TABLES)
        return rows @ columns + mean


def _constants(graph: onnx.ModelProto) -> dict[str, np.ndarray]:
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in unpack_weights(graph).graph.initializer}
    return {name: array for name, array in arrays.items() if array.dtype.kind == "f"}


def _fill_direct(model: Denoiser, lookup: _Lookup) -> None:
    """What no rewrite touches, and attention, whose projections stand side by side."""
    unet = model.unet
    blocks = cast("list[ResidualBlock]", [*unet.downs, unet.mid_resnet, *unet.up_resnets])
    kept = [model.x_encoder, model.cond_encoder, *unet.cond_downs, *unet.ups]
    for block in blocks:
        kept += [block.norm, block.conv1, block.conv2]
    if model.vocal_context is not None:
        kept += [model.vocal_context.enter, *model.vocal_context.layers, model.vocal_context.leave]
    if model.sheet is not None:
        kept += [model.sheet.enter, model.sheet.deepen, *model.sheet.downs, *model.sheet.leave]
    for module in kept:
        for parameter in module.parameters():
            parameter.copy_(lookup(parameter))
    bottom = unet.mid_attn
    folded = rewrites.alignment(bottom.attn, rewrites.linear(bottom.proj_x), rewrites.linear(bottom.proj_cond))
    _fill_alignment(model.align, rewrites.alignment(model.align), lookup)
    _fill_alignment(bottom.attn, folded, lookup)
    for projection in (bottom.proj_x, bottom.proj_cond):
        _fill_identity(projection)
    if model.config.latent_channels != model.config.base_channels:
        raise UserError("a network whose output is not as wide as its first level cannot be read back")
    last = rewrites.after(rewrites.linear(model.output_conv), rewrites.linear(unet.final_conv))
    _fill(unet.final_conv, lookup(last.weight), lookup(last.bias))
    _fill_identity(model.output_conv)


def _fill_alignment(align: SoftAlignment, known: rewrites.AlignmentWeights, lookup: _Lookup) -> None:
    local, wide = align.local, align.global_
    stacks: list[tuple[tuple[nn.Linear | nn.Conv1d, ...], rewrites.Linear]] = [
        ((wide.to_q, local.to_q), known.queries),
        ((wide.to_k, wide.to_v, local.to_k, local.to_v), known.keys_values),
    ]
    for modules, stack in stacks:
        parts = (lookup(stack.weight).chunk(len(modules)), lookup(stack.bias).chunk(len(modules)))
        for module, weight, bias in zip(modules, *parts, strict=True):
            _fill(module, weight, bias)
    outputs: tuple[nn.Linear | nn.Conv1d, ...] = (local.to_out, wide.to_out)
    for module, weight, bias in zip(
        outputs, lookup(known.output).chunk(2, dim=1), lookup(known.output_biases), strict=True
    ):
        _fill(module, weight, bias)


def _fill(module: nn.Linear | nn.Conv1d, weight: Tensor, bias: Tensor) -> None:
    """Take (out, in) and (out,)."""
    module.weight.copy_(weight.reshape(module.weight.shape))
    cast("Tensor", module.bias).copy_(bias)


def _fill_identity(module: nn.Conv1d) -> None:
    nn.init.dirac_(module.weight)
    nn.init.zeros_(cast("Tensor", module.bias))


def _fill_context(model: Denoiser, lookup: _Lookup, films: list[FiLM]) -> None:
    """The context's share of every FiLM; the decoder's with its path, of which the graph has the product alone."""
    unet = model.unet
    matrices = rewrites.context_means(unet.cond_ups).matrices
    plain = len(films) - len(matrices)
    shares = [
        lookup(matrix @ rewrites.film_context(film).weight.T).double().numpy()
        for matrix, film in zip(matrices, films[plain:], strict=True)
    ]
    for film in films[:plain]:
        weight = rewrites.film_context(film).weight.T
        film.context_proj.weight.copy_(lookup(weight).T[:, :, None])
    for film in films:
        nn.init.zeros_(cast("Tensor", film.context_proj.bias))  # it is in the timestep's share
    before = np.eye(cast("nn.ConvTranspose1d", unet.cond_ups[0]).in_channels)
    for up, film, share in zip(unet.cond_ups, films[plain:], shares, strict=True):
        up = cast("nn.ConvTranspose1d", up)
        of_mean = np.linalg.lstsq(before, share[: len(before)], rcond=_RIDGE)[0]  # (n_in, 2 n)
        left, values, right = np.linalg.svd(of_mean, full_matrices=False)
        rank = up.out_channels
        roots = np.sqrt(values[:rank])
        whole = left[:, :rank] * roots  # (n_in, n): half the sum of the taps
        up.weight.copy_(torch.from_numpy(np.repeat(whole[:, :, None] / 2, 4, axis=2)))
        nn.init.zeros_(cast("Tensor", up.bias))
        film.context_proj.weight.copy_(torch.from_numpy((roots[:, None] * right[:rank]).T[:, :, None].copy()))
        before = before @ whole


def _fill_film_terms(model: Denoiser, table: np.ndarray, films: list[FiLM]) -> None:
    """The timestep's share of every FiLM: a linear function of m(t) for the first, of e(t) for all others."""
    for layer in (model.time_mlp[0], model.time_mlp[2]):
        nn.init.normal_(cast("nn.Linear", layer).weight, std=_HIDDEN_STD)
    embedding = timestep_embedding(torch.arange(len(table)), model.config.time_width, torch.float32)
    place = 0
    for features, of_these in ((model.time_mlp(embedding), films[:1]), (embedding, films[1:])):
        widths = [film.time_proj.out_features for film in of_these]
        features = features.double().numpy()
        target, place = table[:, place : place + sum(widths)], place + sum(widths)
        centre, mean = features.mean(axis=0), target.mean(axis=0)
        # Least squares by the pseudo-inverse: lstsq takes several times as long for so many columns.
        weight = np.linalg.pinv(features - centre, rcond=_RIDGE) @ (target - mean)  # (time width, all 2 n)
        bias = mean - centre @ weight
        ends = np.cumsum(widths)[:-1]
        for film, one, its_bias in zip(of_these, np.split(weight, ends, 1), np.split(bias, ends), strict=True):
            film.time_proj.weight.copy_(torch.from_numpy(one.T.copy()))
            film.time_proj.bias.copy_(torch.from_numpy(its_bias))
