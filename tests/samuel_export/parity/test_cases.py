"""What a parity report looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samuel_export.parity.cases import Measure, ParityCase, parity_cases
from samuel_export.parity.limits import limits_of
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.settings import Precision
from tests.support.weights import relative_l2


class Recorder:
    """A runner that notes what it was asked and answers with its question."""

    def __init__(self) -> None:
        self.networks: list[tuple[tuple[int, ...], tuple[int, ...], float]] = []
        self.waveforms: list[np.ndarray] = []
        self.latents: list[np.ndarray] = []
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def network(
        self, x: np.ndarray, vocals: np.ndarray, t: list[int], guidance: float, sheet: np.ndarray | None = None
    ) -> np.ndarray:
        self.networks.append((x.shape, tuple(t), guidance))
        self.pairs.append((x, vocals))
        return x

    def encode(self, waveform: np.ndarray) -> np.ndarray:
        self.waveforms.append(waveform)
        return waveform

    def decoder_output(self, latents: np.ndarray) -> np.ndarray:
        return self.decode(latents)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        self.latents.append(latents)
        return np.tile(latents[:2].T, (20, 1))  # (samples, channels)


@pytest.fixture(autouse=True)
def _short_reports() -> None:
    """Not here: these are the cases of true reports."""


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    return Manifest.read(bundle)


STEPS = 5


def all_cases(
    manifest: Manifest, precision: Precision = Precision.FP32, weight_format: WeightFormat = WeightFormat.FP32
) -> list[ParityCase]:
    limits = limits_of(precision, weight_format)
    return list(parity_cases(manifest.model, manifest.codec, manifest.statistics, limits, STEPS))


def test_every_stage_has_a_case(manifest: Manifest) -> None:
    runner = Recorder()
    wanted = all_cases(manifest)
    for case in wanted:
        case.run(runner)
    assert len({case.name for case in wanted}) == len(wanted)  # a report finds its fingerprints by name
    shapes = {shape for shape, _, _ in runner.networks}
    assert {(1, 64, 72), (1, 64, manifest.model.frames), (2, 64, 72)} <= shapes
    assert {0, 799} <= {step for _, t, _ in runner.networks for step in t}
    assert {guidance for _, _, guidance in runner.networks} == {1.0, manifest.model.guidance}
    assert manifest.model.guided().down_to > 0  # where nothing is guided, guidance need not be proven
    assert {guidance for _, t, guidance in runner.networks if t == (0,)} == {1.0}
    assert len(runner.waveforms) == 1
    assert [latents.shape for latents in runner.latents] == [(64, 304), (64, 256), (64, 256)]


def test_cases_reach_past_one_chunk_of_the_codec(manifest: Manifest) -> None:
    """A seam between chunks that is wrong must show."""
    runner = Recorder()
    for case in all_cases(manifest):
        case.run(runner)
    (waveform,) = runner.waveforms
    assert waveform.shape[1] == manifest.codec.channels
    assert len(waveform) > 2 * manifest.codec.chunk_frames * manifest.codec.hop_samples
    assert runner.latents[0].shape[1] > 2 * manifest.codec.chunk_frames


def test_inputs_are_what_a_song_gives(manifest: Manifest) -> None:
    runner = Recorder()
    for case in all_cases(manifest):
        case.run(runner)
    for x, vocals in runner.pairs:
        assert x.dtype == vocals.dtype == np.float32
        assert relative_l2(vocals, x) > 0.1
        assert 0.5 < vocals.std() < 2
    (waveform,) = runner.waveforms
    assert 0.05 < np.abs(waveform).max() < 1
    assert relative_l2(waveform[:, 0], waveform[:, 1]) > 0.1  # channels that are swapped must show


def test_a_case_is_the_same_every_time(manifest: Manifest) -> None:
    first, second = ([case.run(Recorder()) for case in all_cases(manifest)] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)


def test_a_side_walks_the_trajectory_once(manifest: Manifest) -> None:
    """Its latents, what is predicted of them and the spectra of its audio are three cases."""
    runner, other = Recorder(), Recorder()
    for case in [case for case in all_cases(manifest) if f"trajectory of {STEPS} steps" in case.name]:
        assert not np.array_equal(case.run(runner), [])
        case.run(other)
    assert len(runner.networks) == len(other.networks) == STEPS
    assert len(runner.latents) == len(other.latents) == 2


@pytest.mark.parametrize(
    ("precision", "weight_format", "step", "log_mel"),
    [
        (Precision.FP32, WeightFormat.FP32, 2e-5, 1e-3),
        (Precision.FP32, WeightFormat.FP16, 5e-3, 2e-2),
        (Precision.FP32, WeightFormat.INT8, 1e-2, 2e-2),
        (Precision.FP16, WeightFormat.FP32, 5e-3, 2e-2),
        (Precision.BF16, WeightFormat.FP32, 5e-2, 4e-2),
    ],
)
def test_each_precision_has_its_limits(
    manifest: Manifest, precision: Precision, weight_format: WeightFormat, step: float, log_mel: float
) -> None:
    wanted = all_cases(manifest, precision, weight_format)
    assert {case.limit for case in wanted if case.name.startswith("step")} == {step}
    assert [case.limit for case in wanted if case.measure is Measure.MEAN_ABS] == [max(log_mel, 0.05)]
    for case, exact in zip(wanted, all_cases(manifest), strict=True):
        assert case.name == exact.name
        assert exact.limit <= case.limit <= 0.1
