"""One loaded bundle under eight threads: each gets what it would get alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from samuel_runtime import Audio, Precision, Provider, Samuel, Settings
from samuel_runtime.engines.availability import unavailable_reason
from samuel_runtime.engines.backend import Backend
from tests.support.engined import Engined
from tests.support.runtime.fakes.cuda import FakeCuda

THREADS = 8


@pytest.fixture(autouse=True)
def _hasty() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval_s)


def voice(number: int) -> Audio:
    noise = np.random.default_rng(number).standard_normal((44_100, 2))
    return Audio((0.1 * noise).astype(np.float32), 44_100)


def check(samuel: Samuel) -> None:
    """Run whole songs of equal and of different steps at once, and the network by itself; then the same in turn."""
    start = Barrier(THREADS)
    x = np.random.default_rng(7).standard_normal((THREADS, 1, 64, 72)).astype(np.float32)

    def run(number: int, together: bool) -> list[np.ndarray]:
        if together:
            start.wait()
        band = samuel.accompany(voice(number), Settings(seed=number, steps=2 + number % 2))
        output = samuel.conditioned(x[number])(x[number - 1], [400], 2.0)
        pieces = list(samuel.stream(voice(number), Settings(seed=number, steps=2)))
        return [band.samples, output, np.concatenate(pieces)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(run, range(THREADS), [True] * THREADS))
    for number, together in enumerate(found):
        for one, alone in zip(together, run(number, False), strict=True):
            np.testing.assert_array_equal(one, alone)


@pytest.mark.parametrize("provider", [Provider.CPU, Provider.OPENVINO])
def test_threads_share_a_processor(bundle: Path, provider: Provider) -> None:
    with Samuel.load(bundle, Provider.CPU) as samuel:
        missing = unavailable_reason(Backend(provider, Precision.FP32), samuel.manifest)
    if missing:
        pytest.skip(missing)
    check(Samuel.load(bundle, provider, threads=1, precision=Precision.FP32))


def test_threads_share_a_gpu(engined: Engined, gpu: FakeCuda) -> None:
    check(Samuel.load(engined(Precision.FP32), Provider.TENSORRT))
    assert gpu.defects == []
