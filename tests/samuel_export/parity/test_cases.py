"""What a parity report looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samuel_export.parity.cases import Measure, ParityCase, probes
from samuel_export.parity.limits import limits_of
from samuel_export.precision.weights import Storage
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.settings import Precision
from tests.support.weights import relative_l2


class Recorder:
    """A side that notes what it was asked and answers with its question."""

    def __init__(self) -> None:
        self.networks: list[tuple[tuple[int, ...], tuple[int, ...], float]] = []
        self.waveforms: list[np.ndarray] = []
        self.latents: list[np.ndarray] = []
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def network(self, x: np.ndarray, vocals: np.ndarray, t: list[int], guidance: float) -> np.ndarray:
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


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    return Manifest.read(bundle)


STEPS = 5


def all_probes(
    manifest: Manifest, precision: Precision = Precision.FP32, storage: Storage = Storage.FP32
) -> list[ParityCase]:
    limits = limits_of(precision, storage)
    return list(probes(manifest.model, manifest.codec, manifest.statistics, limits, STEPS))


def test_every_part_of_the_way_is_probed(manifest: Manifest) -> None:
    side = Recorder()
    wanted = all_probes(manifest)
    for probe in wanted:
        probe.run(side)
    assert len({probe.name for probe in wanted}) == len(wanted)  # a report finds its fingerprints by name
    shapes = {shape for shape, _, _ in side.networks}
    assert {(1, 64, 72), (1, 64, 1024), (2, 64, 72)} <= shapes
    assert {0, 799} <= {step for _, t, _ in side.networks for step in t}
    assert {guidance for _, _, guidance in side.networks} == {1.0, manifest.model.guidance}
    assert manifest.model.guided().down_to > 0  # where nothing is guided, guidance need not be proven
    assert {guidance for _, t, guidance in side.networks if t == (0,)} == {1.0}
    assert len(side.waveforms) == 1
    assert [latents.shape for latents in side.latents] == [(64, 304), (64, 256), (64, 256)]


def test_probes_reach_past_one_chunk_of_the_codec(manifest: Manifest) -> None:
    """A seam between chunks that is wrong must show."""
    side = Recorder()
    for probe in all_probes(manifest):
        probe.run(side)
    (waveform,) = side.waveforms
    assert waveform.shape[1] == manifest.codec.channels
    assert len(waveform) > 2 * manifest.codec.chunk_frames * manifest.codec.hop_samples
    assert side.latents[0].shape[1] > 2 * manifest.codec.chunk_frames


def test_inputs_are_what_a_song_gives(manifest: Manifest) -> None:
    side = Recorder()
    for probe in all_probes(manifest):
        probe.run(side)
    for x, vocals in side.pairs:
        assert x.dtype == vocals.dtype == np.float32
        assert relative_l2(vocals, x) > 0.1
        assert 0.5 < vocals.std() < 2
    (waveform,) = side.waveforms
    assert 0.05 < np.abs(waveform).max() < 1
    assert relative_l2(waveform[:, 0], waveform[:, 1]) > 0.1  # channels that are swapped must show


def test_a_probe_is_the_same_every_time(manifest: Manifest) -> None:
    first, second = ([probe.run(Recorder()) for probe in all_probes(manifest)] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)


def test_a_side_walks_the_trajectory_once(manifest: Manifest) -> None:
    """Its latents, what is predicted of them and the spectra of its audio are three probes."""
    side, other = Recorder(), Recorder()
    for probe in [probe for probe in all_probes(manifest) if f"trajectory of {STEPS} steps" in probe.name]:
        assert not np.array_equal(probe.run(side), [])
        probe.run(other)
    assert len(side.networks) == len(other.networks) == STEPS
    assert len(side.latents) == len(other.latents) == 2


@pytest.mark.parametrize(
    ("precision", "storage", "step", "log_mel"),
    [
        (Precision.FP32, Storage.FP32, 2e-5, 1e-3),
        (Precision.FP32, Storage.FP16, 5e-3, 2e-2),
        (Precision.FP16, Storage.FP32, 5e-3, 2e-2),
        (Precision.BF16, Storage.FP32, 5e-2, 4e-2),
    ],
)
def test_each_precision_has_its_limits(
    manifest: Manifest, precision: Precision, storage: Storage, step: float, log_mel: float
) -> None:
    wanted = all_probes(manifest, precision, storage)
    assert {probe.limit for probe in wanted if probe.name.startswith("step")} == {step}
    assert [probe.limit for probe in wanted if probe.measure is Measure.MEAN_ABS] == [max(log_mel, 0.05)]
    for probe, exact in zip(wanted, all_probes(manifest), strict=True):
        assert probe.name == exact.name
        assert exact.limit <= probe.limit <= 0.1
