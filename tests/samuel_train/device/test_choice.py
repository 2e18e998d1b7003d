"""bfloat16 is used where the hardware computes in it, not where it is emulated."""

from __future__ import annotations

import pytest
import torch

from samuel_train.device.choice import has_bfloat16


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_emulates_bfloat16_counted_as_having_it(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert has_bfloat16(torch.device("cuda")) is native


@pytest.mark.parametrize(("avx512", "amx"), [(True, False), (False, True), (False, False)])
def test_either_of_two_units_of_a_processor_is_enough(monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert has_bfloat16(torch.device("cpu")) is (avx512 or amx)
