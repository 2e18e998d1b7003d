"""Checkpoints: weights with all that they need to be used, in one safetensors file.

The config, the latents' statistics and the provenance travel as JSON in the file's metadata. Files come from
strangers: nothing is unpickled, and the model is built only after its shapes agree with what the file holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import FRAMES_MULTIPLE, Denoiser

FORMAT = 1
"""Version of the metadata; a reader refuses later ones."""

# torch.save's archive, its form before PyTorch 1.6, and plain pickles of today. A safetensors file begins with the
# length of its header, so one byte would not do: every 32nd header is as long as to begin with 0x80.
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02\x8a\x0a", b"\x80\x04\x95", b"\x80\x05\x95")
_FORMER_WEIGHTS = {"listener.guess.": "vocal_context.auxiliary.", "listener.": "vocal_context."}
_SHEET = "sheet."
_NAMED_AT_MOST = 3  # tensors listed in an error line


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained denoiser and the facts that must stay with it."""

    config: ModelConfig
    """Sizes, variant and prediction target."""
    statistics: Statistics
    """The space of the latents that it was trained in."""
    weights: dict[str, Tensor]
    """Parameters by name, float32."""
    provenance: dict[str, str]
    """Free text by topic: how it was trained, licence, where the codec is."""
    frames_min: int
    """Length of the shortest crop it was trained on."""

    def __post_init__(self) -> None:
        if type(self.frames_min) is not int or self.frames_min < 1 or self.frames_min % FRAMES_MULTIPLE:
            raise UserError(f"frames_min must be a positive multiple of {FRAMES_MULTIPLE}, not {self.frames_min!r}")
        if not isinstance(self.provenance, dict) or not all(
            isinstance(text, str) for item in self.provenance.items() for text in item
        ):
            raise UserError("provenance must be texts by name")
        if self.statistics.channels != self.config.latent_channels:
            raise UserError(
                f"the statistics have {self.statistics.channels} channels, the model has {self.config.latent_channels}"
            )
        check_shapes(self.config, {name: tuple(weight.shape) for name, weight in self.weights.items()})
        for name, weight in self.weights.items():
            if weight.dtype != torch.float32:
                raise UserError(f"tensor {name} is {weight.dtype}, expected torch.float32")
            if not weight.isfinite().all():
                raise UserError(f"tensor {name} holds NaN or infinity; take an earlier checkpoint")

    def build(self) -> Denoiser:
        """The network with these weights, ready for inference."""
        model = Denoiser(self.config)
        model.load_state_dict(self.weights, strict=True)
        return model.eval()


def grown(checkpoint: Checkpoint, config: ModelConfig) -> Checkpoint:
    """The checkpoint for a network of this config: a sheet encoder that it lacks is added, and changes nothing yet.

    Raises:
        UserError: its weights do not fit that network for another reason.
    """
    weights = dict(checkpoint.weights)
    if config.sheet_width and not checkpoint.config.sheet_width:
        fresh = Denoiser(config).state_dict()
        weights |= {name: weight for name, weight in fresh.items() if name.startswith(_SHEET)}
    return replace(checkpoint, config=config, weights=weights)


def with_current_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A denoiser's weights by name, of which earlier versions called some otherwise."""
    current = {}
    for name, weight in weights.items():
        for former, now in _FORMER_WEIGHTS.items():
            if name.startswith(former):
                name = now + name.removeprefix(former)
        current[name] = weight
    return current


def check_shapes(config: ModelConfig, shapes: dict[str, tuple[int, ...]]) -> None:
    """Compare tensor names and shapes with those of the model, without allocating it.

    Raises:
        UserError: naming the tensors that are missing, unexpected or of another shape.
    """
    expected = _shapes_of(config)
    misshaped = [name for name in expected if name in shapes and shapes[name] != expected[name]]
    faults = {
        "missing": [name for name in expected if name not in shapes],
        "unexpected": [name for name in shapes if name not in expected],
        "misshaped": [f"{name} {list(shapes[name])} instead of {list(expected[name])}" for name in misshaped],
    }
    found = [f"{kind} {_few(names)}" for kind, names in faults.items() if names]
    if found:
        raise UserError(f"the weights do not fit the model: {'; '.join(found)}")


@lru_cache(maxsize=8)
def _shapes_of(config: ModelConfig) -> Mapping[str, tuple[int, ...]]:
    """Of its tensors; building the modules takes longer than reading a small checkpoint."""
    with torch.device("meta"):
        return {name: tuple(weight.shape) for name, weight in Denoiser(config).state_dict().items()}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` whole or not at all.

    Raises:
        UserError: if the folder cannot be written to or the disk is full.
    """
    metadata = {
        "samuel_format": str(FORMAT),
        "config": json.dumps(checkpoint.config.to_dict()),
        "statistics": json.dumps(checkpoint.statistics.to_dict()),
        "provenance": json.dumps(checkpoint.provenance),
        "frames_min": str(checkpoint.frames_min),
    }
    # Copies, because safetensors refuses tensors that share memory, such as views of one flat average.
    weights = {
        name: weight.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, weight in checkpoint.weights.items()
    }
    with replacing(path) as temporary:
        try:
            save_file(weights, temporary, metadata)
        except SafetensorError as error:  # what safetensors makes of an OSError
            raise UserError(f"{path}: cannot be written ({error}); make space or choose another folder") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        UserError: naming the file, what is wrong with it and what to do.
    """
    path = Path(path)
    _refuse_other_kinds(path)
    try:
        with safe_open(path, framework="pt") as file:
            return _read(file)
    except SafetensorError as error:
        raise UserError(f"{path}: is cut short or no safetensors file ({error}); copy or download it again") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _refuse_other_kinds(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give a checkpoint.safetensors, "
            "or make one with `samuel-train fit`"
        ) from error
    if start.startswith(_PICKLE_STARTS):
        raise UserError(
            f"{path}: is a PyTorch pickle, not a checkpoint of samuel; convert it with "
            "`samuel-train import-published FILE --latents LATENTS -o checkpoint.safetensors`"
        )


def _read(file: Any) -> Checkpoint:
    """A checkpoint from an open safetensors file, whose offsets the library has checked against its size."""
    metadata = file.metadata() or {}
    if "samuel_format" not in metadata:
        raise UserError("is not a checkpoint of samuel: its metadata lacks samuel_format; make one with `samuel-train`")
    version = _parsed(metadata, "samuel_format")
    if version != FORMAT:
        raise UserError(f"has format {version!r}, this version of samuel reads {FORMAT}; upgrade samuel-deploy")
    config = ModelConfig.from_dict(_parsed(metadata, "config"))
    statistics = Statistics.from_dict(_parsed(metadata, "statistics"))
    return Checkpoint(
        config=config,
        statistics=statistics,
        weights=with_current_weights({name: file.get_tensor(name) for name in file.keys()}),  # noqa: SIM118
        provenance=_parsed(metadata, "provenance"),
        frames_min=_parsed(metadata, "frames_min"),
    )


def _parsed(metadata: dict[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except (KeyError, ValueError, RecursionError) as error:
        raise UserError(f"its metadata has no readable entry {key}; export or train it again") from error


def _few(names: list[str]) -> str:
    rest = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")
