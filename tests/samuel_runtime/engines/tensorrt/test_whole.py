"""A bundle with engines, from a voice to a band, on a GPU that is fake but computes; nothing on the way is left out."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.raster import rasterised
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Provider, Sampler, Settings
from samuel_runtime.tuning.agreement import agreement
from tests.support.engined import Engined, with_fake_engines
from tests.support.runtime.commands import run_here, write_voice
from tests.support.runtime.fakes.cuda import FakeCuda
from tests.support.runtime.lead_sheets import a_sheet


def song(samuel: Samuel, windows: float) -> np.ndarray:
    """Latents of a voice of so many windows."""
    frames = int(windows * samuel.manifest.model.frames)
    return np.random.default_rng(5).standard_normal((samuel.manifest.model.latent_channels, frames)).astype(np.float32)


@pytest.mark.parametrize("sampler", Sampler)
def test_a_song_of_several_windows_is_the_processors(engined: Engined, gpu: FakeCuda, sampler: Sampler) -> None:
    folder = engined(Precision.FP32)
    here, there = (Samuel.load(folder, provider) for provider in (Provider.TENSORRT, Provider.CPU))
    assert here.backend.provider is Provider.TENSORRT
    vocals, settings = song(there, 1.25), Settings(sampler, steps=3, guidance=2.5, seed=9)
    made, expected = here.generate(vocals, settings), there.generate(vocals, settings)
    assert np.linalg.norm(made - expected) <= 2e-5 * np.linalg.norm(expected)
    np.testing.assert_array_equal(here.generate(vocals, settings), made)


def test_a_lead_sheet_reaches_the_gpu(sheeted: Path, gpu: FakeCuda, tmp_path: Path) -> None:
    folder = with_fake_engines(sheeted, tmp_path / "engined", Precision.FP32)
    here, there = (Samuel.load(folder, provider) for provider in (Provider.TENSORRT, Provider.CPU))
    vocals, settings = song(there, 1.25), Settings(steps=2, bpm=92, chords="Am F C G")
    made, expected = here.generate(vocals, settings), there.generate(vocals, settings)
    assert np.linalg.norm(made - expected) <= 2e-5 * np.linalg.norm(expected)
    plain = here.generate(vocals, Settings(steps=2))
    assert np.linalg.norm(made - plain) > 1e-2 * np.linalg.norm(plain)
    sheet = rasterised(a_sheet(), 72, 0.05)[None]
    x = np.random.default_rng(0).standard_normal((1, 64, 72)).astype(np.float32)
    outputs = [one.conditioned(x, sheet)(x, [400], 2.0) for one in (here, there)]
    assert np.linalg.norm(outputs[0] - outputs[1]) <= 1e-5 * np.linalg.norm(outputs[1])


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_the_whole_way_agrees_and_leaves_nothing_behind(engined: Engined, gpu: FakeCuda, precision: Precision) -> None:
    folder = engined(precision)
    reference, samuel = Samuel.load(folder, Provider.CPU), Samuel.load(folder, Provider.TENSORRT)
    assert samuel.backend.precision is precision
    assert agreement(samuel, reference).passed
    del samuel
    gc.collect()
    gpu.assert_clean()


def test_the_network_alone(engined: Engined, gpu: FakeCuda) -> None:
    folder = engined(Precision.FP32)
    here, there = (Samuel.load(folder, provider) for provider in (Provider.TENSORRT, Provider.CPU))
    random = np.random.default_rng(0)
    vocals, x = (random.standard_normal((2, 64, 72)).astype(np.float32) for _ in range(2))
    for guidance in (1.0, 3.0):
        outputs = [one.conditioned(vocals)(x, [10, 700], guidance) for one in (here, there)]
        assert np.linalg.norm(outputs[0] - outputs[1]) <= 1e-5 * np.linalg.norm(outputs[1])
    with pytest.raises(ValueError, match="timesteps"):
        here.conditioned(vocals)(x, [10], 2.0)


def test_a_voice_file_becomes_a_band_file_twice_the_same(
    engined: Engined,
    gpu: FakeCuda,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = engined(Precision.FP16)
    voice, files = write_voice(tmp_path / "voice.wav", 1.5), []
    for name in ("one.wav", "two.wav"):
        options = ["--bundle", folder, "--provider", "tensorrt", "--steps", "2", "--json"]
        ended = run_here(capfd, voice, "-o", tmp_path / name, *options)
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["provider"] == "tensorrt"
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


@pytest.mark.usefixtures("timed_once")
def test_the_doctor_knows_the_gpu_and_times_its_engines(
    engined: Engined, gpu: FakeCuda, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samuel_runtime.engines.openvino.unavailable_reason", lambda precision: "not looked at here")
    folder = engined(Precision.FP16)
    ended = run_here(capfd, "--doctor", "--bundle", folder, "--json")
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert report["gpu"]["name"] and report["tensorrt"]["unfit"] == ""
    backend = next(one for one in report["backends"] if one["provider"] == "tensorrt")
    assert backend["precision"] == "fp16" and backend["agreement"]["passed"] and backend["speed"]["step_s"] > 0


def test_more_takes_than_engines_hold_are_refused_in_a_line(engined: Engined, gpu: FakeCuda) -> None:
    folder = engined(Precision.FP32)
    samuel = Samuel.load(folder, Provider.TENSORRT)
    vocals = np.zeros((9, 64, 72), np.float32)
    with pytest.raises(UserError, match=r"conditioning\.engine: was not built for vocals \(9, 64, 72\)"):
        samuel.conditioned(vocals)(vocals, [1] * 9)


def test_an_engine_that_a_stream_cannot_capture_is_refused(
    engined: Engined, gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = engined(Precision.FP32)
    samuel = Samuel.load(folder, Provider.TENSORRT)
    monkeypatch.setattr("tests.support.runtime.fakes.tensorrt.ICudaEngine._capturable", False)
    with pytest.raises(UserError, match="CUDA graph"):
        samuel.generate(np.zeros((64, 72), np.float32), Settings(steps=2))
