"""The bundle inside the package: proven, small, licence-clean, and heard: neither silence nor noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samuel_export.estimator import check_estimators
from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.audio.samples import Audio
from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE, Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_train.evaluate.metrics.frame_lines import frame_lines
from tests.support.runtime.commands import run_here

EXAMPLE = PACKAGED_BUNDLE.parent / "example_voice.flac"
REAL_SINGING = Path(__file__).parents[4] / "shared" / "audio" / "vocadito_10.wav"


def flatness(audio: Audio) -> float:
    """Median over frames that sound of the spectrum's geometric over arithmetic mean: noise .56, tones near 0.

    From 100 to 2000 Hz, where a band has its notes: noise of any colour is nearly flat over that little.
    """
    mono = audio.samples.mean(axis=1)
    frames = np.lib.stride_tricks.sliding_window_view(mono, 8192)[::4096] * np.hanning(8192)
    low, high = (round(hz * 8192 / audio.sample_rate_hz) for hz in (100, 2000))
    power = np.abs(np.fft.rfft(frames)[:, low:high]) ** 2 + 1e-12
    loud = power.sum(axis=1) > 0.01 * power.sum(axis=1).max()
    return float(np.median(np.exp(np.log(power[loud]).mean(axis=1)) / power[loud].mean(axis=1)))


def activity(audio: Audio) -> float:
    """Spread of the level over time, dB: a steady drone has none, a band with a beat has some."""
    mono = audio.samples.mean(axis=1)
    hops = mono[: len(mono) // 2205 * 2205].reshape(-1, 2205)  # (twentieths of a second, samples)
    return float(np.std(10 * np.log10(np.mean(hops**2, axis=1) + 1e-8)))


def test_the_measure_knows_noise_and_silence() -> None:
    noise = Audio(np.random.default_rng(0).normal(0, 0.1, (44_100, 2)).astype(np.float32), 44_100)
    assert flatness(noise) > 0.5
    assert activity(noise) < 1
    assert Audio(np.zeros((44_100, 2), np.float32), 44_100).level.silent


def test_it_is_whole_proven_and_ours() -> None:
    bundle = Bundle.open()
    assert set(bundle.manifest.graphs) == set(GraphName)
    for name in GraphName:
        bundle.read_graph(name)
    assert all(comparison.passed for comparison in check_estimators(bundle, lambda line: None))
    assert bundle.manifest.parity["passed"]
    assert bundle.manifest.provenance["licence"] == bundle.manifest.provenance["codec_licence"] == "MIT"
    assert sum(file.stat().st_size for file in PACKAGED_BUNDLE.iterdir()) <= 40e6  # what a package can carry


@pytest.mark.parametrize("voice", [EXAMPLE, REAL_SINGING], ids=["example", "real singing"])
def test_the_band_is_heard_and_does_not_buzz(voice: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """That the same command writes the same bytes is a matter of the miniature bundle, in cli/test_job.py."""
    if not voice.exists():
        pytest.skip(f"{voice.name} is not beside this checkout")
    run = run_here(capfd, voice, "-o", tmp_path / "band.wav")
    assert run.code == 0, run.err
    band, sung = Audio.read(tmp_path / "band.wav"), AudioFile.open(voice)
    assert band.samples_count == -(-sung.samples_count * 44_100 // sung.sample_rate_hz)
    print(f"{voice.name}: {band.level}, flatness {flatness(band):.3f}, activity {activity(band):.1f} dB")
    assert -35 < band.level.rms_db < -6
    assert band.level.peak < 1
    assert flatness(band) < 0.1
    assert activity(band) > 2
    if voice == EXAMPLE:
        lines = frame_lines(band.samples, band.sample_rate_hz, Bundle.open().manifest.codec.hop_samples)
        assert lines.excess_db <= 2 and lines.prominent_share <= 0.06, lines
