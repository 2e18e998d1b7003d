"""Import of checkpoints that the published SAMUeL-GEN code trained.

They are pickles of a dict (``model_state``, ``optimizer_state``, ``epoch``) without statistics: those come from
the latents that the checkpoint was trained on. Only PyTorch's restricted unpickler reads them.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.diffusion.schedule import Prediction
from samuel_runtime.errors import UserError
from samuel_train.data.latents import FRAMES, latent_statistics, read_latents
from samuel_train.model.checkpoint import Checkpoint, check_shapes, save_checkpoint
from samuel_train.model.config import Alignment, ModelConfig

PUBLISHED_CONFIG = ModelConfig(alignment=Alignment.PUBLISHED_CODE, prediction=Prediction.EPSILON)
"""What the published code computes and how it samples: its training target and its sampler disagree, and the
sampler's reading of the output, as noise, is the one that its results were made with."""

DERIVED = frozenset(
    f"{attention}.global_.rope.{table}" for attention in ("align", "unet.mid_attn.attn") for table in ("cosine", "sine")
)
"""Tables of rotary embedding that the published training loop left in the state; they follow from the shape."""

PUBLISHED_CODEC = "stabilityai/stable-audio-open-1.0"
"""The codec of the published latents, which do not say so themselves."""


def import_published(pth: Path, latents_folder: Path, out: Path) -> Path:
    """Turn a checkpoint of the published code into one of ours.

    The seed of the published 80/20 split is unknown, so the statistics are over all entries of the folder.

    Args:
        pth: ``torch.save`` of a dict with ``model_state``.
        latents_folder: ``latent_vocal.npy`` and ``latent_accomp.npy`` that it was trained on.
        out: the checkpoint to write.

    Returns:
        ``out``

    Raises:
        UserError: naming the file or tensor that is missing, unexpected or misshaped.
    """
    weights = read_published(pth)
    latents = read_latents(latents_folder)
    statistics = latent_statistics(latents, np.arange(len(latents)))
    provenance = {
        "trained": f"by the published SAMUeL-GEN code; imported from {pth.name}",
        "statistics": f"over all {len(latents)} entries of {latents.folder.name}",
        "licence": "its author's; the published code is MIT, its codec under the Stability AI Community License",
        "codec": latents.codec or PUBLISHED_CODEC,
    }
    try:
        checkpoint = Checkpoint(PUBLISHED_CONFIG, statistics, weights, provenance, frames_min=FRAMES)
    except UserError as error:
        raise UserError(f"{pth}: {error}") from error
    save_checkpoint(out, checkpoint)
    return out


def read_published(pth: Path) -> dict[str, Tensor]:
    """Parameters of a published checkpoint, without the four tables that are derived.

    Raises:
        UserError: if it is no such checkpoint, by the name of what is wrong.
    """
    _refuse_bombs(pth)
    try:
        content = torch.load(pth, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{pth}: holds objects other than tensors, which could run code, and is refused; "
            "save its model_state alone with torch.save({'model_state': ...})"
        ) from error
    except Exception as error:  # whatever a malformed pickle makes its reader raise, the file is at fault
        raise _not_torch(pth) from error
    return _parameters(pth, content)


def _parameters(pth: Path, content: Any) -> dict[str, Tensor]:
    state = content.get("model_state") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise UserError(f"{pth}: has no model_state; give a checkpoint that the published code saved")
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, Tensor) and _is_plain(value)):
            raise UserError(f"{pth}: model_state entry {name!r} is no dense tensor; save the model again")
    weights = {name: value for name, value in state.items() if name not in DERIVED}
    try:
        check_shapes(PUBLISHED_CONFIG, {name: tuple(value.shape) for name, value in weights.items()})
    except UserError as error:
        raise UserError(f"{pth}: {error}; give a checkpoint of the published 15.6 M model") from error
    return weights


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == "cpu"


def _refuse_bombs(pth: Path) -> None:
    """torch.save stores without compression; whoever compresses can make a small file fill the memory."""
    try:
        with zipfile.ZipFile(pth) as archive:
            entries = archive.infolist()
    except OSError as error:
        raise UserError(f"{pth}: cannot be read ({error.strerror}); give the .pth of the published code") from error
    except Exception as error:  # zipfile raises by far more than BadZipFile for a directory in disorder
        raise _not_torch(pth) from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UserError(f"{pth}: has compressed entries, which torch.save never writes; download it again")


def _not_torch(pth: Path) -> UserError:
    return UserError(f"{pth}: is damaged or not a file of torch.save since PyTorch 1.6; download it again")
