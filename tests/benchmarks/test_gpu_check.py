"""The check that no machine without a GPU can run for real, on one that is fake but computes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import gpu_check
from benchmarks.runners.network import Paper
from tests.support.engined import build_fakes
from tests.support.miniature import miniature_model, short_reports
from tests.support.runtime.fakes.cuda import FakeCuda


@pytest.fixture
def small(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The miniature bundle in place of the paper's network, a short song, and few steps."""
    paper = Paper(miniature_model(), tmp_path / "none", tmp_path / "none", tmp_path / "paper")
    shutil.copytree(bundle, paper.bundle)
    build_fakes(monkeypatch)
    short_reports(monkeypatch)
    monkeypatch.setattr(gpu_check, "make_paper", lambda folder, codec: paper)
    monkeypatch.setattr(gpu_check, "FRAMES", 64)
    monkeypatch.setattr(gpu_check, "_ROUNDS", 1)
    monkeypatch.setattr(gpu_check, "DEFAULT_STEPS", 5)
    monkeypatch.setattr(gpu_check, "_MORE_STEPS", 40)
    monkeypatch.setattr("benchmarks.measuring.machine._PEAK_SIZE", 64)


@pytest.mark.usefixtures("small")
def test_the_table_and_the_numbers(gpu: FakeCuda, tmp_path: Path) -> None:
    output = tmp_path / "new" / "gpu.json"
    ended = CliRunner().invoke(gpu_check.command, ["--codec", "packaged", "-o", str(output)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    report = json.loads(output.read_text())
    (row,) = report["rows"]
    assert row["runner"] == "tensorrt fp16" and row["repeats"] is True and row["latent_snr_db"] > 40
    assert all(row[part] > 0 for part in ("step_s", "latents_s", "encode_s", "decode_s", "whole_s"))
    assert "PyTorch on the GPU" in report["missing"] and "cuda fp32" in report["missing"]
    assert "| tensorrt fp16 |" in ended.output and "the same |" in ended.output
    assert str(gpu.capability[0]) in report["gpu"]


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from samuel_runtime.engines.tensorrt.device import gpu_here
    from samuel_runtime.errors import UserError

    FakeCuda(devices=0).install(monkeypatch)
    gpu_here.cache_clear()
    with pytest.raises(UserError, match="GPU"):
        CliRunner().invoke(gpu_check.command, [], catch_exceptions=False)
    gpu_here.cache_clear()
