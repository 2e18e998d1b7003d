"""The library as its users call it: what it takes, how it is cancelled and closed, what it logs and exports."""

from __future__ import annotations

import gc
import logging
import weakref
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import samuel_runtime
from samuel_runtime import (
    Audio,
    LeadSheet,
    Precision,
    Progress,
    Provider,
    Sampler,
    Samuel,
    Settings,
    UserError,
    write_sheet,
)
from samuel_runtime.leadsheet.sheet import Meter
from tests.support.engined import Engined
from tests.support.runtime.commands import singing, write_voice
from tests.support.runtime.fakes.cuda import FakeCuda

QUICK = Settings(steps=2)


@pytest.fixture(scope="module")
def samuel(bundle: Path) -> Samuel:
    return Samuel.load(bundle, threads=1)


def test_every_public_name_is_there() -> None:
    assert {"Samuel", "Settings", "Audio", "Sampler", "Provider", "Precision", "Progress", "UserError"} < set(
        samuel_runtime.__all__
    )
    for name in samuel_runtime.__all__:
        assert getattr(samuel_runtime, name) is not None
        assert name in dir(samuel_runtime)
    assert samuel_runtime.__version__ == version("samuel-deploy")


@pytest.mark.parametrize("sampler", Sampler)
def test_a_sampler_is_taken_by_its_value(sampler: Sampler) -> None:
    assert Settings(sampler=sampler.value).sampler is sampler
    assert Settings(sampler=sampler.value) == Settings(sampler=sampler)


def test_a_provider_and_a_precision_are_taken_by_their_values(bundle: Path) -> None:
    samuel = Samuel.load(bundle, provider="cpu", precision="fp32", threads=1)
    assert (samuel.backend.provider, samuel.backend.precision) == (Provider.CPU, Precision.FP32)


def test_an_unknown_sampler_is_refused_and_does_not_run_a_mixture_of_two() -> None:
    with pytest.raises(UserError, match=r"^sampler must be one of ancestral, ddim, dpm\+\+2m, unipc, not 'foo'$"):
        Settings(sampler="foo")


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"provider": "gpu"}, r"^provider must be one of auto, cpu, openvino, .*coreml, not 'gpu'$"),
        ({"precision": "int8"}, r"^precision must be one of fp32, fp16, bf16, not 'int8'$"),
        ({"threads": 0}, "^threads must be at least 1, not 0$"),
        ({"threads": 1.5}, r"^threads must be a whole number, not 1\.5$"),
    ],
)
def test_an_unknown_way_to_load_is_a_user_error_and_no_key_error(
    bundle: Path, wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        Samuel.load(bundle, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"steps": 2.5}, "^steps must be a whole number"),
        ({"steps": "2"}, "^steps must be a whole number"),
        ({"seed": 0.5}, "^seed must be a whole number"),
        ({"guidance": "2"}, "^guidance must lie between 0 and 100, not '2'$"),
        ({"bpm": "92"}, "^bpm must lie between 20 and 400, not '92'$"),
        ({"meter": "5/4"}, "^meter must be one of 4/4, 3/4, 6/8"),
        ({"key": 5}, "^key must be a tonic and a mode"),
        ({"chords": ["Am"]}, "^chords must be names"),
        ({"lead_sheet": 5}, "^lead_sheet must be a LeadSheet or a file's path"),
        ({"lead_sheet": "nowhere.json"}, r"^nowhere\.json: cannot be read"),
    ],
)
def test_settings_of_another_type_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Settings(**wrong)  # type: ignore[arg-type]


def test_settings_take_numbers_of_numpy() -> None:
    assert Settings(steps=np.int64(3), guidance=np.float32(1.5)) == Settings(steps=3, guidance=1.5)  # type: ignore[arg-type]


def test_settings_take_what_is_known_of_the_song_as_text(tmp_path: Path) -> None:
    said = Settings(meter="3/4", key="Am", chords="Am F")
    assert (said.meter, said.key) == (Meter.WALTZ, "A minor")
    assert said == Settings(meter=Meter.WALTZ, key="A minor", chords="Am F")
    assert said.stated == ["meter", "key", "chords"] and Settings().stated == []
    write_sheet(LeadSheet(9.0, key="C"), tmp_path / "song.json")
    assert Settings(lead_sheet=str(tmp_path / "song.json")) == Settings(lead_sheet=LeadSheet(9.0, key="C"))


def test_a_voice_may_be_a_path_an_audio_or_samples_with_their_rate(samuel: Samuel, tmp_path: Path) -> None:
    path = write_voice(tmp_path / "voice.wav")
    voice = Audio.read(path)
    band = samuel.accompany(voice, QUICK).samples
    for given in (path, str(path), (voice.samples, 44100), (voice.samples[:, 0].astype(np.float64), 44100)):
        np.testing.assert_array_equal(samuel.accompany(given, QUICK).samples, band)


@pytest.mark.parametrize("wrong", [singing(0.1), None, (singing(0.1),), (44100, singing(0.1)), 7])
def test_what_is_no_recording_is_refused(samuel: Samuel, wrong: object) -> None:
    with pytest.raises(UserError, match=r"^audio"):
        samuel.accompany(wrong, QUICK)  # type: ignore[arg-type]


class EnoughError(Exception):
    """What a user raises to cancel."""


@pytest.mark.parametrize("stage", ["encode", "sample", "decode"])
def test_a_run_is_cancelled_by_raising_and_the_next_one_is_as_ever(samuel: Samuel, stage: str) -> None:
    voice = Audio(singing(1.0), 44100)
    expected = samuel.accompany(voice, QUICK).samples

    def cancel(progress: Progress) -> None:
        if progress.stage == stage:
            raise EnoughError

    for run in (samuel.accompany, lambda *given: list(samuel.stream(*given))):
        with pytest.raises(EnoughError):
            run(voice, QUICK, cancel)
    np.testing.assert_array_equal(samuel.accompany(voice, QUICK).samples, expected)


def test_a_stream_that_is_left_goes_no_further(samuel: Samuel) -> None:
    events: list[Progress] = []
    stream = samuel.stream(Audio(singing(8.0), 44100), QUICK, events.append)
    next(stream)
    told = len(events)
    stream.close()
    gc.collect()
    assert len(events) == told and events[-1].done < events[-1].total


def test_a_closed_bundle_gives_its_memory_back_and_says_that_it_is_closed(bundle: Path) -> None:
    with Samuel.load(bundle, threads=1) as samuel:
        samuel.accompany((singing(0.3), 44100), QUICK)
        parts = [weakref.ref(samuel.codec.engines), weakref.ref(samuel.denoiser)]
    assert [part() for part in parts] == [None, None]
    samuel.close()
    with pytest.raises(ValueError, match="closed"):
        samuel.accompany((singing(0.3), 44100), QUICK)


def test_closing_gives_the_memory_of_the_gpu_back_at_once(engined: Engined, gpu: FakeCuda) -> None:
    gc.disable()  # it is not the collector that does it
    try:
        with Samuel.load(engined(Precision.FP32), "tensorrt") as samuel:
            samuel.accompany((singing(0.5), 44100), QUICK)
            with pytest.raises(EnoughError):
                samuel.accompany((singing(0.5), 44100), QUICK, _cancel)
        gpu.assert_clean()
    finally:
        gc.enable()


def _cancel(progress: Progress) -> None:
    raise EnoughError


def test_a_silent_voice_is_warned_about_in_the_log(samuel: Samuel, caplog: pytest.LogCaptureFixture) -> None:
    samuel.accompany((np.zeros(30_000), 44100), QUICK)
    ((logger, level, said),) = caplog.record_tuples
    assert (logger, level) == ("samuel", logging.WARNING)
    assert said.startswith("the voice is silent")
