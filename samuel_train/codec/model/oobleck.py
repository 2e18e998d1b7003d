"""Stable Audio Open's variational autoencoder, Oobleck (Evans et al., 2024), through diffusers."""

from __future__ import annotations

import math
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_weight_norm

from samuel_runtime.errors import UserError
from samuel_train.codec.model.base import Codec, SignalFacts

CLASS_NAME = "AutoencoderOobleck"
"""What ``config.json`` calls this codec under ``_class_name``."""
LICENCE = "Stability AI Community License"
SUBFOLDER = "vae"
"""Where a whole pipeline keeps its codec."""

_WIDEST = 16384  # channels of any layer; the published model's widest has 2048
_LONGEST_HOP = 65536
_MOST_STAGES = 16
_LARGEST = 2**20
_HUB_TIMEOUT_S = 10


class PosteriorMean(nn.Module):
    """The encoder's first half of channels: the posterior's mean, without the scale that sampling would need."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, channels, frames * hop_samples) to (batch, latent_channels, frames)."""
        mean, _ = self.encoder(audio).chunk(2, dim=1)
        return mean


class OobleckCodec(Codec):
    """diffusers' ``AutoencoderOobleck`` with its weight norms folded."""

    def __init__(self, autoencoder: Any, provenance: str) -> None:
        config = autoencoder.config
        facts = SignalFacts(
            sample_rate_hz=config.sampling_rate,
            hop_samples=math.prod(config.downsampling_ratios),
            channels=config.audio_channels,
            latent_channels=config.decoder_input_channels,
        )
        super().__init__(facts, provenance, LICENCE)
        fold_weight_norm(autoencoder)
        self.encoder = PosteriorMean(autoencoder.encoder)
        self.decoder = autoencoder.decoder


def fold_weight_norm(module: nn.Module) -> None:
    """Multiply every weight norm into its weight, in place; the outputs stay as they are."""
    for child in module.modules():
        if hasattr(child, "weight_g"):
            remove_weight_norm(child)
        elif parametrize.is_parametrized(child, "weight"):
            parametrize.remove_parametrizations(child, "weight")


def load_oobleck_folder(folder: Path, config: dict[str, Any]) -> OobleckCodec:
    """Load from a folder that holds the autoencoder itself, in eval mode on the CPU.

    Args:
        folder: with ``config.json`` and ``diffusion_pytorch_model.safetensors``.
        config: what ``config.json`` says.

    Raises:
        UserError: if sizes are out of bounds, or weights are missing, damaged or do not fit.
    """
    _check_config(folder, config)
    try:
        autoencoder = _strictly_loaded(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{folder}: the Oobleck weights do not load ({_first_line(error)}); "
            "copy the folder again, with diffusion_pytorch_model.safetensors"
        ) from error
    return OobleckCodec(autoencoder, provenance=f"{CLASS_NAME} from the folder {folder.name}")


def load_oobleck_hub(model_id: str) -> OobleckCodec:
    """Download (or find in the cache) ``vae/`` of a model on the Hugging Face hub.

    Raises:
        UserError: if access is refused, the model is unknown or there is no connection.
    """
    if not _is_cached(model_id) and not _hub_answers():
        raise UserError(
            f"{model_id}: is on the Hugging Face hub, which cannot be reached, and not in its cache; "
            "without a network, pass a folder that holds this codec with --codec FOLDER"
        )
    try:
        autoencoder = _strictly_loaded(model_id, subfolder=SUBFOLDER)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{model_id}: the codec's weights cannot be fetched ({_first_line(error)}); they may be gated: accept "
            f"their licence ({LICENCE} for Stable Audio Open) on the model's page and run `hf auth login`, "
            "or pass a folder that holds them with --codec"
        ) from error
    return OobleckCodec(autoencoder, provenance=f"{CLASS_NAME} of {model_id}")


def _is_cached(model_id: str) -> bool:
    import huggingface_hub

    return isinstance(huggingface_hub.try_to_load_from_cache(model_id, f"{SUBFOLDER}/config.json"), str)


def _hub_answers() -> bool:
    """Whether the hub can be reached: asked once, since its client tries again for half a minute before it gives up.

    Only what a missing network causes counts as no; whatever else is wrong, the client knows how to say.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=_HUB_TIMEOUT_S):
            return True
    except urllib.error.URLError as error:
        return not isinstance(error.reason, socket.gaierror | ConnectionError | TimeoutError)
    except TimeoutError:
        return False
    except OSError:
        return True


def _strictly_loaded(source: str | Path, **options: Any) -> Any:
    from diffusers import AutoencoderOobleck

    autoencoder, info = AutoencoderOobleck.from_pretrained(
        source, use_safetensors=True, output_loading_info=True, **options
    )
    # diffusers starts missing tensors from chance and says so only in its log.
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info[problem]:
            raise ValueError(f"{problem.replace('_', ' ')}: {sorted(map(str, info[problem]))[0]}")
    return autoencoder.eval()


def _check_config(folder: Path, config: dict[str, Any]) -> None:
    path = folder / "config.json"
    ratios = _integers(path, "downsampling_ratios", config.get("downsampling_ratios"))
    multiples = _integers(path, "channel_multiples", config.get("channel_multiples"))
    encoder_width, decoder_width, latent_channels, _, _ = (
        _integer(path, name, config.get(name))
        for name in (
            "encoder_hidden_size",
            "decoder_channels",
            "decoder_input_channels",
            "audio_channels",
            "sampling_rate",
        )
    )
    if len(ratios) != len(multiples):
        raise UserError(f"{path}: downsampling_ratios and channel_multiples must be equally long")
    if max(encoder_width, decoder_width) * max(multiples) > _WIDEST or math.prod(ratios) > _LONGEST_HOP:
        raise UserError(f"{path}: its layers are larger than any Oobleck's; this is not a codec to trust")
    if any(ratio % 2 for ratio in ratios):
        raise UserError(f"{path}: downsampling_ratios must be even, or frames do not line up with samples")
    if encoder_width != 2 * latent_channels:
        raise UserError(
            f"{path}: encoder_hidden_size ({encoder_width}) must be twice decoder_input_channels ({latent_channels})"
        )


def _integers(path: Path, name: str, values: Any) -> list[int]:
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_STAGES:
        raise UserError(f"{path}: {name} is missing or no short list; copy the codec's folder again")
    return [_integer(path, name, value) for value in values]


def _integer(path: Path, name: str, value: Any) -> int:
    if type(value) is not int or not 0 < value < _LARGEST:
        raise UserError(f"{path}: {name} is missing or no positive integer; copy the codec's folder again")
    return value


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
