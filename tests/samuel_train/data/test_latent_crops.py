"""Crops are the same wherever the latents are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samuel_train.data import latent_crops as shelf
from samuel_train.data.latent_crops import LatentCrops

ENTRIES, STARTS, FRAMES = np.array([2, 0, 2]), np.array([3, 0, 8]), 8


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("resident", [False, True])
def test_crops_are_cut_where_asked(kind: type, resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).standard_normal((3, 5, 16)).astype(kind)
    monkeypatch.setattr(shelf, "_has_room", lambda device, size: resident)
    kept = LatentCrops(array, torch.device("cpu"))
    expected = np.stack([array[2, :, 3:11], array[0, :, :8], array[2, :, 8:]]).astype(np.float32)
    array[:] = 0  # a resident shelf holds a copy, another one reads
    cut = kept.cut(ENTRIES, STARTS, FRAMES)
    assert cut.dtype == torch.float32
    assert np.array_equal(cut.numpy(), expected if resident else np.zeros_like(expected))


def test_a_processor_reads_from_the_file() -> None:
    assert not shelf._has_room(torch.device("cpu"), 1)


def test_a_gpu_keeps_what_leaves_room_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    assert shelf._has_room(torch.device("cuda"), 199)
    assert not shelf._has_room(torch.device("cuda"), 201)
