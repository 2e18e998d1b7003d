"""The small codec's folder: ``config.json`` beside ``model.safetensors``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name, replacing
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
_CONFIG_BYTES_MOST = 65536
_DTYPES = ("F32", "F16")


def read_config(folder: Path) -> dict[str, Any] | None:
    """The object in a codec folder's ``config.json``; None where there is no such file.

    Raises:
        UserError: if it is too long, no JSON, or no object, or the folder's name is not text.
    """
    check_name(folder)
    path = folder / CONFIG_NAME
    if not path.is_file():
        return None
    if path.stat().st_size > _CONFIG_BYTES_MOST:
        raise UserError(f"{path}: longer than {_CONFIG_BYTES_MOST} bytes, so it is no codec's config")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); copy the codec's folder again") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: not a JSON object; copy the codec's folder again")
    return values


def save_small_codec(folder: Path, codec: SmallCodec, dtype: torch.dtype = torch.float32) -> None:
    """Write both files; each is replaced whole.

    Args:
        folder: receives them.
        codec: what is written.
        dtype: how weights are stored: float32, or float16 in half the space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"provenance": codec.provenance, "licence": codec.licence}
    weights = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in codec.state_dict().items()}
    with replacing(folder / WEIGHTS_NAME) as temporary:
        save_file(weights, temporary, metadata=metadata)
    with replacing(folder / CONFIG_NAME) as temporary:
        temporary.write_text(json.dumps(codec.config.to_dict(), indent=2) + "\n")


def load_small_codec(folder: Path) -> SmallCodec:
    """Rebuild a codec from its folder, in eval mode on the CPU.

    Raises:
        UserError: if a file is missing or damaged, or the weights do not fit the config exactly.
    """
    values = read_config(folder)
    if values is None:
        raise UserError(f"{folder}: has no {CONFIG_NAME}; name the folder that `samuel-train codec -o` wrote")
    try:
        config = SmallCodecConfig.from_dict(values)
    except UserError as error:
        raise UserError(f"{folder / CONFIG_NAME}: {error}") from error
    path = folder / WEIGHTS_NAME
    if not path.is_file():
        raise UserError(f"{path}: missing; copy the codec's folder again")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # On the meta device nothing is allocated before the file is known to fit the config.
            with torch.device("meta"):
                expected = SmallCodec(config).state_dict()
            _check_names(path, set(expected), set(file.keys()))
            for name, tensor in expected.items():
                _check_tensor(path, name, tensor, file.get_slice(name))
            weights = {name: file.get_tensor(name).float() for name in expected}
    except SafetensorError as error:
        raise UserError(f"{path}: not readable as safetensors ({error}); copy the codec's folder again") from error
    broken = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if broken:
        raise UserError(f"{path}: {broken[0]} holds values that are not finite; train the codec again")
    codec = SmallCodec(config, metadata.get("provenance", ""), metadata.get("licence", ""))
    codec.load_state_dict(weights)
    return codec.eval()


def _check_names(path: Path, expected: set[str], found: set[str]) -> None:
    for problem, names in (("misses", expected - found), ("has an unexpected", found - expected)):
        if names:
            raise UserError(f"{path}: {problem} {min(names)}; it does not belong to the {CONFIG_NAME} beside it")


def _check_tensor(path: Path, name: str, expected: torch.Tensor, found: Any) -> None:
    shape, dtype = list(found.get_shape()), found.get_dtype()
    if shape != list(expected.shape) or dtype not in _DTYPES:
        raise UserError(
            f"{path}: {name} is {dtype} {shape}, not {' or '.join(_DTYPES)} {list(expected.shape)}; "
            f"it does not belong to the {CONFIG_NAME} beside it"
        )
