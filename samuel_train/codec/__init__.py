"""Codecs: waveform to latents and back, in PyTorch. :func:`load_codec` opens any of them."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from samuel_runtime.errors import UserError
from samuel_train.codec.model.base import Codec, SignalFacts, decoder_context_frames, encoder_context_frames

__all__ = ["Codec", "SignalFacts", "decoder_context_frames", "encoder_context_frames", "load_codec"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def load_codec(location: str | Path, device: torch.device | str = "cpu") -> Codec:
    """Open a codec, in eval mode on ``device``.

    Args:
        location: a folder of the small codec; a folder of an Oobleck autoencoder, or of a pipeline with one in
            ``vae``; or an ``owner/name`` on the Hugging Face hub.
        device: where its weights go.

    Raises:
        UserError: if there is no codec, it is damaged, or access to it is refused.
    """
    from samuel_train.codec.model import files, oobleck, small_config

    folder = Path(location)
    for candidate in (folder, folder / oobleck.SUBFOLDER):
        config = files.read_config(candidate)
        class_name = config.get("_class_name") if config is not None else None
        if class_name == small_config.CLASS_NAME:
            return files.load_small_codec(candidate).to(device)
        if config is not None and class_name == oobleck.CLASS_NAME:
            return oobleck.load_oobleck_folder(candidate, config).to(device)
    if not folder.exists() and _HUB_ID.fullmatch(str(location)):
        return oobleck.load_oobleck_hub(str(location)).to(device)
    raise UserError(
        f"{location}: holds no codec; looked for config.json naming {small_config.CLASS_NAME} or "
        f"{oobleck.CLASS_NAME} in it and in its {oobleck.SUBFOLDER} folder, and for an owner/name on the hub"
    )
