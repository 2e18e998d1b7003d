"""Where training runs: the device by the name the user gives."""

from __future__ import annotations

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
