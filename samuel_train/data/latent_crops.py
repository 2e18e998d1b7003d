"""Latents to cut crops from: in a GPU's memory where there is room, else from their file."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_ROOM = 0.2  # of the free memory for one array: most is the network's


class LatentCrops:
    """An array (entries, channels, frames), and where it is kept."""

    def __init__(self, array: np.ndarray, device: torch.device) -> None:
        self._array, self._device = array, device
        self._resident = torch.from_numpy(np.array(array)).to(device) if _has_room(device, array.nbytes) else None

    def cut(self, entries: np.ndarray, starts: np.ndarray, frames: int) -> Tensor:
        """Crops of equal length, by entry and first frame (crops,): (crops, channels, frames) float32 on the device."""
        if self._resident is None:
            crops = zip(entries, starts, strict=True)
            read = np.stack([self._array[entry, :, start : start + frames] for entry, start in crops])
            return torch.from_numpy(read).to(self._device).float()
        entry, start = to_device(entries, self._device), to_device(starts, self._device)
        channel = torch.arange(self._resident.shape[1], device=self._device)
        frame = start[:, None] + torch.arange(frames, device=self._device)  # (crops, frames)
        return self._resident[entry[:, None, None], channel[:, None], frame[:, None]].float()


def to_device(values: np.ndarray, device: torch.device) -> Tensor:
    """An array on a device; a GPU is not waited for."""
    tensor = torch.from_numpy(values)
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _has_room(device: torch.device, bytes_: int) -> bool:
    return device.type == "cuda" and bytes_ < _ROOM * torch.cuda.mem_get_info(device)[0]
