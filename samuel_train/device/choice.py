"""Where training runs: the device by the name the user gives."""

from __future__ import annotations

from typing import Any

import torch

from samuel_runtime.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> str:
    """The device of that name; ``auto`` is the fastest kind that is there.

    Raises:
        UserError: if the name is unknown or this machine has no such device.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    if name not in present:
        raise UserError(f"device {name!r} is unknown; choose one of {', '.join(DEVICES)}")
    if not present[name]:
        raise UserError(f"device {name!r} is not available to PyTorch on this machine; choose --device cpu")
    return name


def lower_precision(device: torch.device) -> Any:
    """A context in which linear layers compute in bfloat16, where the device has units for it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 and not merely stores it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
