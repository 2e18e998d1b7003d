"""Encoding and decoding, by every runner: Stable Audio Open's autoencoder in its true size, and the packaged codec."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.pairs import note, relative_l2, time_beside
from benchmarks.runners.codecs import LIMITS, RUNNERS, Halves, packaged_size, stable_audio_open
from benchmarks.runners.denoisers import BACKENDS, EAGER
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.settings import Precision

_BOTH = (GraphName.ENCODER, GraphName.DECODER)
_VERBS = {GraphName.ENCODER: "Encoding", GraphName.DECODER: "Decoding"}
_OOBLECK_FRAMES, _OOBLECK_ROUNDS = 48, 2
"""Somewhat less than a chunk: a call of PyTorch takes seconds."""
_SMALL_FRAMES, _SMALL_ROUNDS = 256, 9
_LONG_FRAMES = 160
"""Three chunks: memory does not grow with a fourth."""
_MOST_MB = 1500
"""Peak memory of a song of any length."""


@pytest.fixture(scope="module")
def oobleck(tmp_path_factory: pytest.TempPathFactory) -> Halves:
    """Stable Audio Open's."""
    return Halves(stable_audio_open(), tmp_path_factory.mktemp("oobleck"), _OOBLECK_FRAMES)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Halves:
    """The packaged bundle's."""
    return Halves(packaged_size(), tmp_path_factory.mktemp("small"), _SMALL_FRAMES)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("half", _BOTH)
def test_stable_audio_open(benchmark: BenchmarkFixture, oobleck: Halves, half: GraphName, runner: str) -> None:
    """Every runner computes the same."""
    benchmark.group = f"{_VERBS[half]} {oobleck.audio_s:.2f} s, Stable Audio Open's codec"
    _compare(benchmark, oobleck, half, runner, _OOBLECK_ROUNDS)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("half", _BOTH)
def test_packaged_codec(benchmark: BenchmarkFixture, small: Halves, half: GraphName, runner: str) -> None:
    """Every runner computes the same."""
    benchmark.group = f"{_VERBS[half]} {small.audio_s:.2f} s, the packaged codec"
    _compare(benchmark, small, half, runner, _SMALL_ROUNDS)


@pytest.mark.parametrize("runner", [name for name in RUNNERS if name != EAGER])
def test_memory_of_a_long_song(benchmark: BenchmarkFixture, oobleck: Halves, runner: str) -> None:
    """Stable Audio Open's codec stays within the limit, both halves and their loading included."""
    seconds = _LONG_FRAMES / oobleck.frames * oobleck.audio_s
    benchmark.group = f"Encoding and decoding {seconds:.1f} s in a process, Stable Audio Open's codec"
    oobleck.open(GraphName.DECODER, runner)  # skips where there is no such runner
    ended = benchmark.pedantic(lambda: oobleck.long_song(BACKENDS[runner], _LONG_FRAMES), rounds=1)
    assert int(ended.out) == _LONG_FRAMES * oobleck.codec.facts.hop_samples
    assert ended.peak_mb <= _MOST_MB
    note(benchmark, runner, peak_mb=ended.peak_mb, audio_s=seconds)


def _compare(benchmark: BenchmarkFixture, halves: Halves, half: GraphName, name: str, rounds: int) -> None:
    runner, eager = halves.open(half, name), halves.open(half, EAGER)
    error = relative_l2(np.array(runner.work()), eager.work())
    assert error <= LIMITS[BACKENDS[name].precision if name in BACKENDS else Precision.FP32]
    references = {EAGER: eager.work} if name != EAGER else {}
    time_beside(benchmark, runner.work, references, rounds)
    note(benchmark, name, flop=runner.flop, relative_l2=error, audio_s=halves.audio_s)
