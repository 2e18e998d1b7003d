"""How fast: measured on a clock that the work itself moves, and what follows for songs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.codec.chunks import chunks
from samuel_runtime.diffusion.denoiser import Sampling
from samuel_runtime.diffusion.samplers import Draw
from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Provider
from samuel_runtime.tuning import measure
from samuel_runtime.tuning.measure import measure_speed, paced
from samuel_runtime.tuning.speed import Speed

STARTING_S = 0.5


class Clock:
    """Stands still but for the work, which is slower the first time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._done: set[str] = set()

    def spend(self, work: str, seconds: float) -> None:
        self.now_s += seconds + (0 if work in self._done else STARTING_S)
        self._done.add(work)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(measure, "perf_counter", lambda: clock.now_s)
    return clock


def _bundle_that_takes(
    clock: Clock, manifest: Manifest, expected: Speed, *, in_one_piece: bool = False
) -> SimpleNamespace:
    """A loaded bundle whose work takes what ``expected`` says.

    With its loop ``in_one_piece``, as on a GPU, a step by itself is a loop, for which the vocals are conditioned anew.
    """
    codec, model = manifest.codec, manifest.model

    def read(frames: int, context: int) -> int:
        return sum(c.read_stop - c.read_start for c in chunks(frames, codec.chunk_frames, context))

    def encode(blocks: Iterator[np.ndarray], frames: int) -> None:
        assert sum(map(len, blocks)) == frames * codec.hop_samples
        clock.spend("encode", read(frames, codec.encoder_context_frames) * expected.encode_s)

    def decode(latents: np.ndarray) -> Iterator[np.ndarray]:
        clock.spend("decode", read(latents.shape[1], codec.decoder_context_frames) * expected.decode_s)
        yield latents

    def condition(frames: int) -> None:
        clock.spend("condition", expected.window_s * frames / model.frames)

    def step(frames: int) -> None:
        part = (frames - model.frames_min) / (model.frames - model.frames_min)
        clock.spend("step", expected.short_step_s + part * (expected.step_s - expected.short_step_s))

    def trajectory(
        vocals: np.ndarray, prefix_latents: np.ndarray, sampling: Sampling, draw: Draw
    ) -> Iterator[np.ndarray]:
        assert all(sampling.guidance.at(t) == model.guidance for t in sampling.timesteps)
        condition(vocals.shape[2])
        for _ in sampling.timesteps:
            step(vocals.shape[2])
            yield vocals

    def conditioned(vocals: np.ndarray) -> Callable[..., None]:
        def network(x: np.ndarray, t: list[int], guidance: float = 1.0) -> None:
            if in_one_piece:
                condition(vocals.shape[2])
            step(vocals.shape[2])

        if not in_one_piece:
            condition(vocals.shape[2])
        return network

    return SimpleNamespace(
        manifest=manifest,
        conditioned=conditioned,
        denoiser=SimpleNamespace(schedule=Schedule.cosine(model.timesteps), trajectory=trajectory),
        codec=SimpleNamespace(encode=encode, decode=decode),
    )


@pytest.mark.parametrize("scale", [0.01, 1, 10], ids=["fast", "middling", "slow"])
def test_every_part_is_measured_apart_from_what_the_first_run_costs(scale: float, clock: Clock, bundle: Path) -> None:
    manifest = Manifest.read(bundle)
    expected = Speed(4 * STARTING_S, 0.001 * scale, 0.03 * scale, 0.02 * scale, 0.004 * scale, 0.002 * scale)
    found = measure_speed(_bundle_that_takes(clock, manifest, expected))  # type: ignore[arg-type]
    assert asdict(found) == pytest.approx(asdict(expected))


def test_a_loop_in_one_piece_is_not_charged_with_conditioning_at_every_step(clock: Clock, bundle: Path) -> None:
    """Seconds of a step on a GPU were those of a loop of one step, and its window then took none."""
    manifest = Manifest.read(bundle)
    expected = Speed(4 * STARTING_S, 0.001, 0.03, 0.002, 0.0004, 0.002)
    samuel = _bundle_that_takes(clock, manifest, expected, in_one_piece=True)
    found = measure_speed(samuel)  # type: ignore[arg-type]
    assert asdict(found) == pytest.approx(asdict(expected))
    assert asdict(paced(found, samuel, manifest.model.frames)) == pytest.approx(asdict(expected))  # type: ignore[arg-type]


def test_a_busy_machine_slows_every_part_that_is_to_come(clock: Clock, bundle: Path) -> None:
    manifest = Manifest.read(bundle)
    before = Speed(0.7, 0.001, 0.03, 0.02, 0.004, 0.002)
    today = Speed(0.7, *(3 * part for part in astuple(before)[1:]))
    for frames in (manifest.model.frames_min, manifest.model.frames):
        found = paced(before, _bundle_that_takes(clock, manifest, today), frames)  # type: ignore[arg-type]
        assert asdict(found) == pytest.approx(asdict(today))


def test_what_takes_long_is_run_once(clock: Clock) -> None:
    timing = measure._timed(lambda: clock.spend("all", 60.0))
    assert clock.now_s == 60 + STARTING_S
    assert (timing.first_more_s, timing.best_s) == (0, 60 + STARTING_S)


def test_a_song_takes_its_chunks_and_its_windows(bundle: Path) -> None:
    manifest = Manifest.read(bundle)
    one = manifest.model.frames
    found = Speed(first_s=9.0, encode_s=0.001, window_s=0.5, step_s=0.03, short_step_s=0.01, decode_s=0.002)
    shortest = manifest.model.frames_min
    assert found.sampling_s(manifest, one) == pytest.approx((0.5, 0.03))
    assert found.sampling_s(manifest, shortest) == pytest.approx((0.5 * shortest / one, 0.01))
    assert found.sampling_s(manifest, (one + shortest) // 2)[1] == pytest.approx(0.02)
    assert found.sampling_s(manifest, one + 8) == pytest.approx((1.0, 0.06))  # two windows
    assert found.song_s(manifest, one, 20) - found.song_s(manifest, one, 10) == pytest.approx(10 * 0.03)
    chunk, context = manifest.codec.chunk_frames, manifest.codec.encoder_context_frames
    assert found.encoding_s(manifest, 2 * chunk) == pytest.approx(0.001 * 2 * (chunk + 2 * context))


@pytest.mark.usefixtures("timed_once")
def test_a_real_bundle_is_measured(bundle: Path) -> None:
    found = measure_speed(Samuel.load(bundle, Provider.CPU, threads=1))
    assert min(found.encode_s, found.step_s, found.short_step_s, found.decode_s) > 0
