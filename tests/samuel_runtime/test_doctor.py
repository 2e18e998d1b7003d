"""What can run here, how fast, and what the answer changes: `--doctor`, `--provider auto` and `--target-s`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samuel_runtime import doctor, preference
from samuel_runtime.bundle import Bundle
from samuel_runtime.choices import Provider
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.speed import FEWEST_STEPS, Speed, measure_speed, steps_within
from tests.samuel_runtime.commands import run_here, write_voice


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setattr(preference.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache"


def test_doctor_times_what_runs_and_tells_how_to_add_what_does_not(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_here(capfd, "--doctor", "--bundle", bundle, "--json")
    assert run.code == 0, run.err
    report = json.loads(run.out)
    ways = {way["provider"]: way for way in report["ways"]}
    assert set(ways) == {provider.value for provider in Provider} - {"auto"}
    assert ways["cpu"]["speed"]["step_s"] > 0
    assert all(way["speed"] is not None or "pip" in way["remedy"] for way in ways.values())
    assert ways[report["auto"]]["speed"] is not None


def test_doctor_prints_a_line_for_each_way(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = run_here(capfd, "--doctor", "--bundle", bundle)
    assert run.code == 0, run.err
    assert len(run.out.splitlines()) == 2 + (len(Provider) - 1) + 1


def test_auto_takes_what_was_measured_fastest(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [Provider.CPU, Provider.CUDA]
    monkeypatch.setattr(doctor, "available_providers", lambda: both)
    monkeypatch.setattr(preference, "available_providers", lambda: both)
    monkeypatch.setattr(doctor.Samuel, "load", lambda folder, provider, threads: provider)
    opened = Bundle.open(bundle)
    for fastest, slowest in (both, reversed(both)):
        seconds = {fastest: 0.1, slowest: 0.2}
        monkeypatch.setattr(doctor, "measure_speed", lambda provider, s=seconds: Speed(1.0, s[provider], 1.0))
        doctor.examine(bundle, None, as_json=False)
        assert preference.preferred(opened) is fastest


def test_auto_is_the_cpu_before_any_measurement_and_when_the_choice_is_gone_or_damaged(
    bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Bundle.open(bundle)
    assert preference.preferred(opened) is Provider.CPU
    preference.remember(opened, Provider.CUDA)
    monkeypatch.setattr(preference, "available_providers", lambda: [Provider.CPU])
    assert preference.preferred(opened) is Provider.CPU
    (file,) = (cache / "samuel").iterdir()
    for damage in ("", "[]", '{"provider": "abacus"}', "{}"):
        file.write_text(damage)
        assert preference.preferred(opened) is Provider.CPU


def test_a_bundle_that_nothing_can_run_is_the_users_to_mend(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_providers", list)
    with pytest.raises(UserError, match="nothing here can run it"):
        doctor.examine(bundle, None, as_json=True)


def test_more_time_buys_more_steps_and_a_longer_song_fewer(bundle: Path) -> None:
    samuel, speed = Samuel.load(bundle, Provider.CPU), Speed(encode_s=0.1, step_s=0.05, decode_s=0.2)
    one_window = samuel.manifest.model.frames
    chunks = one_window // samuel.manifest.codec.chunk_frames
    assert steps_within(chunks * 0.3 + 10 * 0.05 + 0.001, samuel, speed, one_window) == 10
    assert steps_within(5.0, samuel, speed, one_window) > steps_within(5.0, samuel, speed, 2 * one_window)
    assert steps_within(0.001, samuel, speed, one_window) == FEWEST_STEPS
    assert steps_within(1e6, samuel, speed, one_window) == samuel.manifest.model.timesteps


def test_speed_is_measured_on_the_bundles_own_graphs(bundle: Path) -> None:
    speed = measure_speed(Samuel.load(bundle, Provider.CPU))
    assert min(speed.encode_s, speed.step_s, speed.decode_s) > 0


def test_a_time_budget_says_what_it_picked(bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    voice = write_voice(tmp_path / "voice.wav")
    run = run_here(capfd, voice, "--bundle", bundle, "-o", tmp_path / "band.wav", "--target-s", "0.001", "--json")
    assert run.code == 0, run.err
    assert f"{FEWEST_STEPS} steps of dpm++2m for 0.001 s" in run.err
    assert json.loads(run.out)["takes"][0]["steps"] == FEWEST_STEPS
