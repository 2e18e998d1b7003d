"""`--target-s`: what is chosen for a time budget, on backends whose speed is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from samuel_runtime.audio.reading import Recording
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.cli.render import RenderRequest, plan_requests
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_STEPS, Precision, Provider, Sampler, Settings
from samuel_runtime.tuning import sampling_error, target
from samuel_runtime.tuning.preference import remember
from samuel_runtime.tuning.target import Plan, Target, Work, measured_backends, plan
from tests.support.runtime.commands import Run, run_here, write_voice
from tests.support.runtime.measured import LOWERED, OTHER, REFERENCE, measurement


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    """A cache folder of the test's own; the hint at --doctor has been given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    remember(Bundle.open(bundle).manifest, [])


@pytest.fixture(autouse=True)
def _front(monkeypatch: pytest.MonkeyPatch) -> None:
    """A front of the test's own: what is chosen must not hang on the last digit of a study."""
    falling = {Sampler.DDIM: {4: 0.5, 100: 0.04}, Sampler.DPM_SOLVER_2M: {4: 0.4, 100: 0.01}}
    monkeypatch.setattr(sampling_error, "SAMPLING_ERROR", falling)
    monkeypatch.setattr(sampling_error, "FEWEST_STEPS", 4)
    monkeypatch.setattr(sampling_error, "MOST_STEPS", 100)


@pytest.fixture
def work(bundle: Path) -> Work:
    """One take of a full window of 47.6 s."""
    manifest = Manifest.read(bundle)
    manifest = manifest.model_copy(update={"model": manifest.model.model_copy(update={"frames": 1024})})
    return Work(manifest, (manifest.model.frames,), (manifest.model.frames,), files_s=0.0)


def _within(seconds: float, work: Work, *backends: target.Measurement, **kept: object) -> Plan:
    return plan(Target(seconds, **kept), list(backends) or [measurement()], work, 0.0, loaded=True)  # type: ignore[arg-type]


def test_more_time_buys_steps_and_the_plan_fills_the_budget(work: Work) -> None:
    plans = [_within(seconds, work) for seconds in (4.4, 4.7, 5.0)]
    assert [each.fits for each in plans] == [True] * 3
    assert plans[0].steps < plans[1].steps < plans[2].steps
    assert plans[0].error > plans[1].error > plans[2].error
    step_s = work.seconds(measurement())[1]
    for each, seconds in zip(plans, (4.4, 4.7, 5.0), strict=True):
        assert seconds - step_s < each.seconds <= seconds
        assert each.sampler is Sampler.DPM_SOLVER_2M  # nearer at every number of steps


def test_beyond_what_was_measured_time_buys_nothing(work: Work) -> None:
    assert _within(1e6, work).steps == sampling_error.MOST_STEPS
    short = work.manifest.model.model_copy(update={"timesteps": 50})
    few = replace(work, manifest=work.manifest.model_copy(update={"model": short}))
    assert _within(1e6, few).steps == 50


def test_a_budget_that_cannot_be_met_gets_the_fewest_steps_and_a_warning(work: Work) -> None:
    found = _within(0.5, work, measurement(), measurement(OTHER, 0.01))
    assert (found.steps, found.backend, found.fits) == (sampling_error.FEWEST_STEPS, OTHER, False)
    assert found.explained(Target(0.5)).startswith("warning: ") and f"{found.seconds:.1f} s" in found.explained(
        Target(0.5)
    )


def test_what_has_passed_and_what_is_to_come_both_count(work: Work) -> None:
    known, budget = [measurement(load_s=0.4)], Target(5.0)
    loaded = plan(budget, known, work, 0.0, loaded=True)
    to_load = plan(budget, known, work, 0.0, loaded=False)
    late = plan(budget, known, work, 0.4, loaded=True)
    assert to_load.steps == late.steps == pytest.approx(loaded.steps - 0.4 / work.seconds(known[0])[1], abs=1)
    read = plan(budget, known, replace(work, files_s=0.4), 0.0, loaded=True)
    assert read.steps < loaded.steps


def test_lowered_arithmetic_is_taken_only_where_the_steps_it_buys_are_worth_more(work: Work) -> None:
    exact, lowered = measurement(step_s=0.04), measurement(LOWERED, 0.01, error=0.05)
    scarce, ample = (_within(seconds, work, exact, lowered) for seconds in (4.5, 30.0))
    assert scarce.backend == LOWERED and scarce.steps > _within(4.5, work, exact).steps
    assert ample.backend == REFERENCE and ample.steps == sampling_error.MOST_STEPS
    assert _within(30.0, work, lowered).error == pytest.approx(0.05, abs=0.001)


def test_what_the_user_gave_is_kept(work: Work) -> None:
    ddim = _within(4.7, work, sampler=Sampler.DDIM)
    assert (ddim.sampler, ddim.steps) == (Sampler.DDIM, _within(4.7, work).steps)
    few = _within(1e6, work, steps=7)
    assert (few.sampler, few.steps) == (Sampler.DPM_SOLVER_2M, 7)
    many = _within(6.0, work, measurement(step_s=0.04), measurement(LOWERED, 0.001, error=0.05), steps=90)
    assert (many.backend, many.steps, many.fits) == (LOWERED, 90, True)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_a_time(seconds: float) -> None:
    with pytest.raises(UserError, match="--target-s"):
        Target(seconds)


def test_the_ancestral_sampler_has_no_few_steps() -> None:
    with pytest.raises(UserError, match="ancestral"):
        Target(5.0, Sampler.ANCESTRAL)


@pytest.mark.parametrize("options", [("nan",), ("inf",), ("0",), ("5", "--sampler", "ancestral")])
def test_samuel_run_explains_a_budget_that_is_none(
    options: tuple[str, ...], bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_here(capfd, write_voice(tmp_path / "voice.wav", 0.3), "--bundle", bundle, "--target-s", *options)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("error: ") and "--target-s" in run.err and run.err.count("\n") == 1


def counted(takes: list[RenderRequest]) -> list[tuple[Recording, int]]:
    return [(take.voice, take.passes) for take in takes]


def test_work_is_counted_by_voices_and_takes(bundle: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(bundle)
    voices = [write_voice(tmp_path / "short.wav", 0.5), write_voice(tmp_path / "long.wav", 3.0)]
    takes = plan_requests(voices, None, None, Settings(), 3)
    work = Work.of(counted(takes), manifest, read_s=0.25)
    assert len(work.voices) == 2 and len(work.takes) == 6
    assert set(work.takes) == set(work.voices) and work.voices[0] < work.voices[1]
    with_mixes = Work.of(counted(plan_requests(voices, None, tmp_path, Settings(), 3)), manifest, read_s=0.25)
    assert with_mixes.files_s == 2 * work.files_s > 0.25
    fixed, per_step = work.seconds(measurement())
    speed = measurement().speed
    encoding = sum(speed.encoding_s(manifest, frames) for frames in work.voices)
    drawing = [(*speed.sampling_s(manifest, frames), speed.decoding_s(manifest, frames)) for frames in work.takes]
    expected = encoding + sum(window_s + decode_s for window_s, _, decode_s in drawing) + work.files_s
    assert fixed == pytest.approx(speed.first_s + target._RESERVE * expected)
    assert per_step == pytest.approx(target._RESERVE * sum(step_s for _, step_s, _ in drawing))


def test_only_ways_that_agree_run_and_were_asked_for_are_chosen_from(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest.read(bundle)
    remember(manifest, [measurement(), measurement(OTHER), measurement(LOWERED, passed=False)])
    gone: list[object] = []
    monkeypatch.setattr(target, "unavailable_reason", lambda backend, manifest: "gone" if backend in gone else "")

    def backends(
        provider: Provider = Provider.AUTO, precision: Precision | None = None, threads: int | None = None
    ) -> list[object]:
        return [each.backend for each in measured_backends(manifest, provider, precision, threads)]

    assert backends() == [REFERENCE, OTHER]
    assert backends(Provider.OPENVINO) == [OTHER]
    assert backends(precision=Precision.BF16) == backends(threads=1) == []
    gone.append(OTHER)
    assert backends() == [REFERENCE]


def _run(capfd: pytest.CaptureFixture[str], bundle: Path, tmp_path: Path, *options: str) -> Run:
    voice = write_voice(tmp_path / "voice.wav")
    run = run_here(capfd, voice, "--bundle", bundle, "-o", tmp_path / "band.wav", "--json", *options)
    assert run.code == 0, run.err
    notes = [line for line in run.err.splitlines() if line.startswith("note: ")]  # of what this processor lacks
    assert len(run.err.splitlines()) - len(notes) == 1
    return run


@pytest.mark.usefixtures("timed_once")
def test_samuel_run_says_what_it_picked_and_what_it_took(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = _run(capfd, bundle, tmp_path, "--target-s", "0.001")
    found = json.loads(run.out)
    assert run.err.startswith("warning: --target-s 0.001 is too short: 4 steps of dpm++2m on cpu fp32")
    assert found["takes"][0]["steps"] == found["target"]["steps"] == sampling_error.FEWEST_STEPS
    assert found["target"]["target_s"] == 0.001 and found["target"]["met"] is False
    assert found["target"]["total_s"] == pytest.approx(found["seconds"]["total"])


def test_samuel_run_goes_by_what_doctor_measured(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "measure_speed", lambda samuel: pytest.fail("measured already"))
    monkeypatch.setattr(target, "paced", lambda speed, samuel, frames: replace(speed, step_s=1.0, short_step_s=1.0))
    remember(Bundle.open(bundle).manifest, [measurement(step_s=0.5), measurement(OTHER, 0.1, passed=False)])
    run = _run(capfd, bundle, tmp_path, "--target-s", "60", "--sampler", "ddim")
    found = json.loads(run.out)
    assert run.err.startswith("--target-s 60: ") and "of ddim on cpu fp32" in run.err
    assert 40 < found["target"]["steps"] < 60 and found["target"]["met"] is True
    assert (found["takes"][0]["sampler"], found["takes"][0]["steps"]) == ("ddim", found["target"]["steps"])


def test_samuel_run_loads_the_way_that_was_picked_and_not_the_fastest(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[object, ...]] = []
    load = Samuel.load
    monkeypatch.setattr(Samuel, "load", lambda *options: loaded.append(options[1:]) or load(*options))
    monkeypatch.setattr(target, "unavailable_reason", lambda backend, manifest: "")
    remember(Bundle.open(bundle).manifest, [measurement(step_s=0.01), measurement(LOWERED, 0.001, error=0.3)])
    found = json.loads(_run(capfd, bundle, tmp_path, "--target-s", "60").out)
    assert loaded == [(Provider.CPU, None, Precision.FP32)]
    assert (found["target"]["provider"], found["target"]["precision"]) == ("cpu", "fp32")


def test_samuel_run_takes_the_sampler_that_was_picked(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_error, "SAMPLING_ERROR", {Sampler.DDIM: sampling_error.SAMPLING_ERROR[Sampler.DDIM]})
    remember(Bundle.open(bundle).manifest, [measurement()])
    found = json.loads(_run(capfd, bundle, tmp_path, "--target-s", "0.001").out)
    assert found["takes"][0]["sampler"] == found["target"]["sampler"] == "ddim"


def test_without_a_budget_nothing_is_said_of_one(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_here(capfd, write_voice(tmp_path / "voice.wav", 0.3), "--bundle", bundle, "--provider", "cpu", "--json")
    found = json.loads(run.out)
    assert "target" not in found and found["takes"][0]["steps"] == DEFAULT_STEPS
