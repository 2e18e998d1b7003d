"""The whole command in a process of its own: a voice of 47.5 s in, a band out, beside the same in PyTorch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.machine import this_machine
from benchmarks.measuring.pairs import keep_ratios, note
from benchmarks.measuring.process import SAMUEL_RUN, Finished, run_script
from benchmarks.measuring.voices import write_voice
from benchmarks.runners.denoisers import BACKENDS, PUBLISHED, Steps
from benchmarks.runners.network import FRAMES, GUIDANCE, Paper
from samuel_export.tensorrt.add_engines import add_engines
from samuel_runtime.audio.mel import log_mel_distance
from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE, Bundle
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.settings import DEFAULT_STEPS, Precision, Provider
from samuel_runtime.tuning.agreement import LOG_MEL_MAX

_ROUNDS = 2
_TORCH_RUN = "from benchmarks.runners.torch_run import command; command.main(standalone_mode=False)"
_LOG_MEL_FP32_MAX = 1e-3
"""Rounding alone; files of 24 bits."""


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One full window."""
    hop_samples = Bundle.open(None).manifest.codec.hop_samples
    return write_voice(tmp_path_factory.mktemp("voice") / "voice.flac", FRAMES * hop_samples)


@pytest.fixture(scope="module")
def torch_band(paper: Paper, voice: Path) -> np.ndarray:
    """What PyTorch makes of it."""
    out = voice.with_name("torch.wav")
    _torch_run(paper, voice, out)
    return soundfile.read(out, dtype="float32")[0]


@pytest.fixture(scope="module")
def packaged_band(voice: Path) -> np.ndarray:
    """What the reference backend makes of it with the packaged bundle."""
    out = voice.with_name("packaged.wav")
    _samuel_run("ONNX Runtime fp32", voice, out)
    return soundfile.read(out, dtype="float32")[0]


def test_run_in_pytorch(benchmark: BenchmarkFixture, paper: Paper, voice: Path, tmp_path: Path) -> None:
    """The row that the next test's rows are compared with; they assert the agreement."""
    benchmark.group = _paper_group()
    ended = benchmark.pedantic(lambda: _torch_run(paper, voice, tmp_path / "band.wav"), rounds=_ROUNDS)
    note(benchmark, PUBLISHED, peak_mb=ended.peak_mb)


@pytest.mark.parametrize("name", BACKENDS)
def test_run_with_the_papers_network(
    benchmark: BenchmarkFixture, steps: Steps, torch_band: np.ndarray, voice: Path, tmp_path: Path, name: str
) -> None:
    """`samuel-run` makes PyTorch's band."""
    benchmark.group = _paper_group()
    steps.samuel(name)  # skips where there is no such backend
    paper, out = steps.paper, tmp_path / "band.wav"
    torch_seconds: list[float] = []

    def run_torch() -> None:
        torch_seconds.append(_torch_run(paper, voice, tmp_path / "torch.wav").seconds)

    ended = benchmark.pedantic(lambda: _samuel_run(name, voice, out, paper.bundle), setup=run_torch, rounds=_ROUNDS)
    log_mel = _checked(name, out, torch_band)
    keep_ratios(benchmark, {PUBLISHED: torch_seconds})
    note(benchmark, name, peak_mb=ended.peak_mb, log_mel=log_mel, stages=_stages(ended))


@pytest.mark.parametrize("name", BACKENDS)
def test_run_with_the_packaged_bundle(
    benchmark: BenchmarkFixture, steps: Steps, packaged_band: np.ndarray, voice: Path, tmp_path: Path, name: str
) -> None:
    """Every backend makes the reference backend's band."""
    count = Manifest.read(PACKAGED_BUNDLE).model.steps
    benchmark.group = f"`samuel-run`, packaged bundle, a voice of 47.5 s, {count} steps"
    steps.samuel(name)  # skips where there is no such backend
    bundle, out = _packaged(name, tmp_path), tmp_path / "band.wav"
    ended = benchmark.pedantic(lambda: _samuel_run(name, voice, out, bundle), rounds=_ROUNDS, warmup_rounds=1)
    note(benchmark, name, peak_mb=ended.peak_mb, log_mel=_checked(name, out, packaged_band), stages=_stages(ended))


def _packaged(name: str, folder: Path) -> Path | None:
    """The packaged bundle, or a copy with engines where the backend needs them."""
    if BACKENDS[name].provider is not Provider.TENSORRT:
        return None
    bundle = Path(shutil.copytree(PACKAGED_BUNDLE, folder / "bundle"))
    add_engines(bundle, BACKENDS[name].precision, None, (), lambda line: None)
    return bundle


def _paper_group() -> str:
    return f"From a voice file of 47.5 s to a band file, the paper's network, {DEFAULT_STEPS} steps"


def _torch_run(paper: Paper, voice: Path, out: Path) -> Finished:
    options = ("--steps", str(DEFAULT_STEPS), "--guidance", str(GUIDANCE))
    return run_script(_TORCH_RUN, paper.checkpoint, paper.codec, voice, out, *options)


def _samuel_run(name: str, voice: Path, out: Path, bundle: Path | None = None) -> Finished:
    backend = BACKENDS[name]
    options = ["--provider", backend.provider.value, "--precision", backend.precision.value, "--json"]
    options += ["--threads", str(this_machine().threads)]
    if bundle is not None:
        options += ["--bundle", str(bundle)]
    return run_script(SAMUEL_RUN, voice, "--output", out, *options)


def _stages(ended: Finished) -> dict[str, float]:
    """Seconds by stage, which add up to those of the process."""
    report = json.loads(ended.out)
    whole, take = report["seconds"], report["takes"][0]["seconds"]
    total_s = whole.pop("total")
    stages = {"python": ended.seconds - total_s, **whole, **take}
    return {**stages, "other": ended.seconds - sum(stages.values())}


def _checked(name: str, out: Path, expected: np.ndarray) -> float:
    """Log-mel distance of a band to the expected one, each at the same loudness; within the limit."""
    band, rate_hz = soundfile.read(out, dtype="float32")
    band *= np.linalg.norm(expected) / np.linalg.norm(band)  # samuel-run turns down what would clip
    distance = log_mel_distance(band, expected, rate_hz)
    assert distance <= (_LOG_MEL_FP32_MAX if BACKENDS[name].precision is Precision.FP32 else LOG_MEL_MAX)
    return distance
