from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.audio.peaks import with_peaks_below
from samuel_runtime.audio.samples import Audio
from samuel_runtime.audio.width import with_side_gain
from samuel_runtime.diffusion.spread import rescale_to_unit_std
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.tensorrt import device
from samuel_runtime.engines.tensorrt.cuda import Cuda
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import Progress
from samuel_runtime.settings import DEFAULT_STEPS, Precision, Provider, Sampler, Settings
from samuel_runtime.tuning.preference import remember
from tests.support.export.sabotage import edit_manifest
from tests.support.runtime.commands import run_here, singing, write_voice
from tests.support.runtime.fakes.engines import add_sham_engines
from tests.support.runtime.measured import measurement
from tests.support.runtime.toy_samuel import toy_samuel

QUICK = Settings(steps=2)
RNG = np.random.default_rng(8)
VOCALS = RNG.standard_normal((2, 64, 32)).astype(np.float32)
NOISY = RNG.standard_normal((2, 64, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def samuel(bundle: Path) -> Samuel:
    return Samuel.load(bundle, threads=1)


def _distance(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64)))


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("sample_rate_hz", [8000, 22050, 44100, 48000, 96000])
def test_the_band_lasts_exactly_as_long_as_the_voice(samuel: Samuel, sample_rate_hz: int, channels: int) -> None:
    voice = Audio(singing(1.0, sample_rate_hz, channels)[:-7], sample_rate_hz)
    band = samuel.accompany(voice, QUICK)
    assert band.samples.shape == (-(-voice.samples_count * 44100 // sample_rate_hz), 2)
    assert abs(band.duration_s - voice.duration_s) < 1 / 44100
    assert np.isfinite(band.samples).all() and band.samples.std() > 0


@pytest.mark.parametrize("samples", [1, 2, 2048, 44100])
def test_short_voices_get_a_band_of_their_length(samuel: Samuel, samples: int) -> None:
    band = samuel.accompany(Audio(np.full(samples, 0.1, np.float32), 44100), QUICK)
    assert band.samples_count == samples


def test_silence_gets_a_finite_band(samuel: Samuel) -> None:
    band = samuel.accompany(Audio(np.zeros(30_000, np.float32), 44100), QUICK)
    assert band.samples_count == 30_000 and np.isfinite(band.samples).all()


def test_the_same_seed_gives_the_same_band_and_another_seed_another(samuel: Samuel) -> None:
    voice = Audio(singing(1.0), 44100)
    band = samuel.accompany(voice, QUICK).samples
    np.testing.assert_array_equal(samuel.accompany(voice, QUICK).samples, band)
    assert _distance(samuel.accompany(voice, replace(QUICK, seed=1)).samples, band) > 0.05


def test_the_voice_leads(samuel: Samuel) -> None:
    voice, other = singing(1.0), singing(1.0)[::-1] * np.linspace(0, 1, 44100, dtype=np.float32)[:, None]
    bands = [samuel.accompany(Audio(one, 44100), QUICK).samples for one in (voice, other)]
    assert _distance(*bands) > 1e-3


def test_how_loud_the_voice_was_recorded_matters_little(samuel: Samuel) -> None:
    voice = singing(1.0, amplitude=0.001)
    quiet, quieter = (samuel.encode(Audio(gain * voice, 44100)) for gain in (1.0, 0.5))
    assert _distance(quieter, quiet) < 1e-3
    # Inside the range of recorded voices, the level is the singer's and stays.
    loud, softer = (samuel.encode(Audio(singing(1.0, amplitude=a), 44100)) for a in (0.3, 0.15))
    assert _distance(softer, loud) > 1e-2


def test_thread_counts_agree(samuel: Samuel, bundle: Path) -> None:
    voice, settings = Audio(singing(1.0), 44100), Settings(steps=5)
    two = Samuel.load(bundle, threads=2).accompany(voice, settings).samples
    distance = _distance(two, samuel.accompany(voice, settings).samples)
    print(f"2 threads against 1: relative L2 {distance:.1e}")
    assert distance < 1e-4


@pytest.mark.parametrize("sampler", Sampler)
def test_every_sampler_makes_a_band(samuel: Samuel, sampler: Sampler) -> None:
    latents = samuel.generate(VOCALS[0], Settings(sampler, steps=3))
    clamp = samuel.manifest.statistics
    assert latents.shape == (64, 32)
    assert clamp.clamp_min <= latents.min() and latents.max() <= clamp.clamp_max


def test_spread_latents_are_contracted_and_others_left_alone() -> None:
    narrow = VOCALS[0] / np.sqrt(np.square(VOCALS[0]).mean()) * 0.9
    np.testing.assert_array_equal(rescale_to_unit_std(narrow), narrow)
    wide = rescale_to_unit_std(1.5 * narrow)
    assert wide.dtype == np.float32
    assert np.sqrt(np.square(wide).mean()) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(wide, narrow / 0.9, rtol=1e-5)


def test_a_band_is_decoded_from_contracted_latents(samuel: Samuel) -> None:
    voice, latents = Audio(singing(1.0), 44100), VOCALS[0] / np.sqrt(np.square(VOCALS[0]).mean())
    wide, plain = (np.concatenate(list(samuel.decode(scale * latents, voice))) for scale in (3.0, 1.0))
    np.testing.assert_allclose(wide, plain, atol=1e-4)


def test_progress_tells_of_every_stage_and_step(samuel: Samuel) -> None:
    events: list[Progress] = []
    samuel.accompany(Audio(singing(1.0), 44100), Settings(steps=4), events.append)
    ends = {event.stage: (event.done, event.total) for event in events}
    assert ends == {"encode": (24, 24), "sample": (4, 4), "decode": (24, 24)}
    steps = [event.step for event in events if event.step is not None]
    assert [(step.window, step.index, step.timestep) for step in steps] == [
        (0, 0, 799), (0, 1, 699), (0, 2, 516), (0, 3, 279)
    ]  # fmt: skip
    for stage in ends:
        seconds = [event.seconds for event in events if event.stage == stage]
        assert seconds == sorted(seconds) and seconds[0] > 0


def test_a_batch_of_two_equals_two_calls(samuel: Samuel) -> None:
    for guidance in (1.0, 3.0):
        both = samuel.conditioned(VOCALS)(NOISY, [700, 30], guidance)
        assert both.shape == NOISY.shape and both.dtype == np.float32
        for index, t in enumerate((700, 30)):
            one = samuel.conditioned(VOCALS[index : index + 1])(NOISY[index : index + 1], [t], guidance)
            assert _distance(both[index : index + 1], one) < 1e-5


def test_guidance_is_the_null_output_and_g_times_the_difference(samuel: Samuel) -> None:
    conditional = samuel.conditioned(VOCALS)(NOISY, [400, 400])
    null = samuel.conditioned(np.zeros_like(VOCALS))(NOISY, [400, 400])
    assert _distance(conditional, null) > 1e-3
    step = samuel.conditioned(VOCALS)
    assert _distance(step(NOISY, [400, 400], 1.0), conditional) == 0
    assert _distance(step(NOISY, [400, 400], 0.0), null) < 1e-5
    assert _distance(step(NOISY, [400, 400], 4.0), null + 4 * (conditional - null)) < 1e-5


@pytest.mark.parametrize("shape", [(64, 32), (1, 63, 32), (1, 64, 33), (1, 64, 0)])
def test_vocals_of_another_shape_are_refused(samuel: Samuel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="frames"):
        samuel.conditioned(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "shape, t",
    [((1, 64, 32), [1, 1]), ((2, 64, 24), [1, 1]), ((2, 32, 32), [1, 1]), ((2, 64, 32), [1]),
     ((2, 64, 32), [1, 800]), ((2, 64, 32), [-1, 1])],
)  # fmt: skip
def test_latents_and_timesteps_that_do_not_fit_are_refused(
    samuel: Samuel, shape: tuple[int, ...], t: list[int]
) -> None:
    with pytest.raises(ValueError, match="timesteps"):
        samuel.conditioned(VOCALS)(np.zeros(shape, np.float32), t)


def test_a_model_that_makes_nan_is_reported_with_a_way_out(bundle: Path) -> None:
    def broken(x: np.ndarray, **_: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": np.full_like(x, np.nan)}

    with pytest.raises(UserError, match=r"NaN.*`seed`"):
        toy_samuel(bundle, broken).generate(np.zeros((64, 32), np.float32), QUICK)


def test_the_time_terms_of_a_schedule_are_computed_once(bundle: Path) -> None:
    samuel = toy_samuel(bundle)
    engine = samuel.denoiser.step_engine
    samuel.generate(np.zeros((64, 300), np.float32), QUICK)
    windows = engine.calls // 2  # type: ignore[attr-defined]
    assert windows == 4
    assert samuel.denoiser.terms.cache_info().misses == 2


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"guidance": -0.1}, {"guidance": 101.0}, {"guidance": float("nan")}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"^(steps|guidance) must"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_bundle_is_sampled_in_as_many_steps_as_it_asks_for(bundle_copy: Path, samuel: Samuel) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest["model"].update(steps=2))
    of_two_steps = Samuel.load(bundle_copy, threads=1)
    edit_manifest(bundle_copy, lambda manifest: manifest["model"].pop("steps"))
    for asking, steps in ((of_two_steps, 2), (Samuel.load(bundle_copy, threads=1), DEFAULT_STEPS)):
        expected = samuel.generate(VOCALS[0], Settings(steps=steps))
        np.testing.assert_array_equal(asking.generate(VOCALS[0], Settings()), expected)


def test_a_band_gets_the_width_and_the_peaks_that_its_bundle_says(bundle_copy: Path, samuel: Samuel) -> None:
    voice = Audio(singing(1.0, 44100, 1), 44100)
    plain = samuel.accompany(voice, QUICK).samples
    ceiling = float(0.7 * np.abs(plain).max())
    edit_manifest(bundle_copy, lambda manifest: manifest["model"].update(side_gain_db=3.0, peak_ceiling=ceiling))
    asking = Samuel.load(bundle_copy, threads=1)
    expected = with_peaks_below(with_side_gain(plain, 3.0), ceiling)
    np.testing.assert_array_equal(asking.accompany(voice, QUICK).samples, expected)
    np.testing.assert_array_equal(np.concatenate(list(asking.stream(voice, QUICK))), expected)


def test_more_steps_than_timesteps_are_refused(samuel: Samuel) -> None:
    with pytest.raises(UserError, match=r"^steps must be at most 800.*not 801$"):
        samuel.generate(VOCALS[0], Settings(steps=801))


def test_the_way_is_told(samuel: Samuel) -> None:
    assert samuel.backend == Backend(Provider.CPU, Precision.FP32)
    assert str(samuel.backend) == "cpu fp32"


def test_the_names_of_the_package_lead_to_their_homes() -> None:
    import samuel_runtime

    assert samuel_runtime.Samuel is Samuel and samuel_runtime.UserError is UserError
    with pytest.raises(AttributeError, match="nonsense"):
        _ = samuel_runtime.nonsense


ENGINES = Backend(Provider.TENSORRT, Precision.FP16)


@pytest.fixture
def remembering(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle whose engines were measured as the fastest here, and which look as if they could start."""
    manifest = add_sham_engines(bundle_copy, content="of this pipeline")
    remember(manifest, [replace(measurement(), backend=ENGINES)])
    monkeypatch.setattr(device, "unfit_reason", lambda engines: "")
    return bundle_copy


def no_driver(*_: object) -> None:
    raise UserError("CUDA: there is no NVIDIA driver")


def test_a_way_that_no_longer_starts_gives_way_to_the_next(
    remembering: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Cuda, "load", no_driver)
    said = "tensorrt fp16 did not start, so the next way was taken: CUDA: there is no NVIDIA driver"
    samuel = Samuel.load(remembering, threads=1)
    assert samuel.backend == Backend(Provider.CPU, Precision.FP32)
    assert caplog.record_tuples == [("samuel", logging.WARNING, said)]
    voice = write_voice(tmp_path / "voice.wav")
    run = run_here(capfd, voice, "-o", tmp_path / "band.wav", "--bundle", remembering, "--steps", "1")
    assert run.code == 0 and (tmp_path / "band.wav").exists()
    assert f"note: {said}\n" in run.err


def test_what_is_asked_for_by_name_is_not_replaced(remembering: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cuda, "load", no_driver)
    for precision in (None, Precision.FP16):
        with pytest.raises(UserError, match=r"^CUDA: there is no NVIDIA driver$"):
            Samuel.load(remembering, Provider.TENSORRT, precision=precision)


def test_a_damaged_graph_is_said_whatever_was_tried_before(remembering: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cuda, "load", no_driver)
    (remembering / "step.onnx").write_bytes(b"")
    with pytest.raises(UserError, match=r"step\.onnx"):
        Samuel.load(remembering)


def test_a_way_that_starts_logs_nothing(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    Samuel.load(bundle, threads=1)
    assert not caplog.records
