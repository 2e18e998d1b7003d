"""bfloat16 is used where the hardware computes in it, not where it is emulated."""

from __future__ import annotations

import pytest
import torch

from samuel_train.device.choice import has_bfloat16


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_emulates_bfloat16_counted_as_having_it(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert has_bfloat16(torch.device("cuda")) is native
