"""What a check says of a bundle beyond whether it passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from samuel_export.parity import check
from samuel_runtime.engines.availability import ProbedBackend
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider


@pytest.mark.usefixtures("lowering")
def test_half_precision_that_overflows_is_told_and_does_not_end_an_export(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowered = Backend(Provider.OPENVINO, Precision.FP16)
    monkeypatch.setattr(check, "probe_backends", lambda manifest: [ProbedBackend(lowered, "")])
    monkeypatch.setattr(check, "_opened", lambda folder, backend: backend)

    def sample(backend: Backend) -> object:
        if backend == lowered:
            raise UserError("the model produced NaN")
        return object()

    monkeypatch.setattr(check, "generated_sample", sample)
    said: list[str] = []
    report = check.compare_lowered(bundle, said.append)
    assert report == {str(lowered): {"passed": False, "reason": "the model produced NaN"}}
    assert said == [f"{lowered} does not agree: the model produced NaN"]
