"""Latents to cut crops from: in a GPU's memory where there is room, else from their file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_ROOM = 0.2  # of the free memory for one array: most is the network's


class Shelf:
    """An array (entries, channels, frames), and where it is kept."""

    def __init__(self, array: np.ndarray, device: torch.device) -> None:
        self._array, self._device = array, device
        self._resident = torch.from_numpy(np.array(array)).to(device) if _has_room(device, array.nbytes) else None

    def cut(self, crops: Sequence[tuple[int, slice]]) -> Tensor:
        """Crops of equal length, each an entry and its frames: (crops, channels, frames) float32 on the device."""
        if self._resident is not None:
            return torch.stack([self._resident[entry, :, frames] for entry, frames in crops]).float()
        read = np.stack([self._array[entry, :, frames] for entry, frames in crops])
        return torch.from_numpy(read).to(self._device).float()


def _has_room(device: torch.device, bytes_: int) -> bool:
    return device.type == "cuda" and bytes_ < _ROOM * torch.cuda.mem_get_info(device)[0]
