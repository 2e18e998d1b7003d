"""`--doctor`: what it tries, finds, prints and remembers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.audio.samples import Audio
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.cli import doctor
from samuel_runtime.engines.availability import ProbedBackend, probe_backends
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider
from samuel_runtime.tuning.agreement import GeneratedSample
from samuel_runtime.tuning.preference import preferred, recall
from tests.support.runtime.commands import run_here
from tests.support.runtime.measured import LOWERED, OTHER, REFERENCE, measurement

ABSENT = Backend(Provider.COREML, Precision.FP32)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@dataclass
class Machine:
    """What its backends would show, had they been run."""

    steps_s: dict[Backend, float]
    """Seconds of a step; a backend that is not here fails to run."""
    off: dict[Backend, float]
    """By how much a backend's latents are wrong, relative."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Three backends that run, ever faster, and one that is not there."""
    machine = Machine({REFERENCE: 0.05, OTHER: 0.04, LOWERED: 0.02}, {})
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(64, 128))
    band = Audio(rng.normal(0, 0.1, (8192, 2)).astype(np.float32), 44_100)

    def load(folder: Path, provider: Provider, threads: int | None, precision: Precision) -> Backend:
        backend = Backend(provider, precision)
        if backend not in machine.steps_s:
            raise UserError(f"{backend}: the device is lost; restart it")
        return backend

    backends = [
        ProbedBackend(REFERENCE, ""),
        ProbedBackend(OTHER, ""),
        ProbedBackend(LOWERED, ""),
        ProbedBackend(ABSENT, "add it with `pip install it`"),
    ]
    monkeypatch.setattr(doctor, "probe_backends", lambda manifest: backends)
    monkeypatch.setattr(doctor.Samuel, "load", load)
    monkeypatch.setattr(doctor, "measure_speed", lambda backend: measurement(backend, machine.steps_s[backend]).speed)
    monkeypatch.setattr(
        doctor, "generated_sample", lambda backend: GeneratedSample(latents * (1 + machine.off.get(backend, 0.0)), band)
    )
    return machine


def _report(capfd: pytest.CaptureFixture[str], bundle: Path, *options: str) -> dict[str, object]:
    run = run_here(capfd, "--doctor", "--bundle", bundle, "--json", *options)
    assert (run.code, run.err) == (0, "")
    found: dict[str, object] = json.loads(run.out)
    return found


def test_auto_takes_the_fastest_that_agrees(machine: Machine, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened = Bundle.open(bundle)
    first = _report(capfd, bundle)
    assert first["auto"] == {"provider": "openvino", "precision": "bf16"} and first["remembered"] is True
    assert preferred(opened) == LOWERED
    machine.off[LOWERED] = 0.5
    assert _report(capfd, bundle)["auto"] == {"provider": "openvino", "precision": "fp32"}
    assert preferred(opened) == OTHER
    machine.steps_s[OTHER] = 0.06
    _report(capfd, bundle)
    assert preferred(opened) == REFERENCE


def test_what_was_found_is_reported_and_kept(machine: Machine, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    machine.off[LOWERED] = 0.03
    machine.off[OTHER] = 0.5
    report = _report(capfd, bundle)
    backends = {(backend["provider"], backend["precision"]): backend for backend in report["backends"]}  # type: ignore[attr-defined]
    assert backends["cpu", "fp32"]["agreement"] is None and backends["cpu", "fp32"]["speed"]["step_s"] == 0.05
    assert backends["openvino", "bf16"]["agreement"]["passed"] is True
    assert backends["openvino", "bf16"]["agreement"]["latent_snr_db"] == pytest.approx(20 * np.log10(1 / 0.03))
    assert backends["openvino", "fp32"]["agreement"]["passed"] is False
    assert backends["coreml", "fp32"]["speed"] is None and "pip install it" in backends["coreml", "fp32"]["missing"]
    song = backends["cpu", "fp32"]["song_s"]
    assert song["total"] == pytest.approx(song["encode"] + song["sample"] + song["decode"])
    kept = {each.backend: each for each in recall(Bundle.open(bundle).manifest) or []}
    assert set(kept) == {REFERENCE, OTHER, LOWERED}
    assert (kept[LOWERED].error, kept[LOWERED].passed) == (pytest.approx(0.03), True)
    assert (kept[REFERENCE].error, kept[REFERENCE].passed, kept[OTHER].passed) == (0.0, True, False)


def test_a_way_that_fails_to_run_is_a_line_and_not_the_end(
    machine: Machine, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    del machine.steps_s[OTHER]
    report = _report(capfd, bundle)
    (failed,) = [backend for backend in report["backends"] if "restart it" in backend["missing"]]  # type: ignore[attr-defined]
    assert (failed["provider"], failed["precision"]) == ("openvino", "fp32")
    assert report["auto"] == {"provider": "openvino", "precision": "bf16"}


def test_lowered_arithmetic_is_not_trusted_where_no_reference_runs(machine: Machine, bundle: Path) -> None:
    machine.steps_s = {LOWERED: 0.02}
    trials = doctor.try_backends(Bundle.open(bundle), doctor.probe_backends(Bundle.open(bundle).manifest), None)
    assert [trial.measurement for trial in trials] == [None] * 4
    with pytest.raises(UserError, match="nothing here can run it"):
        doctor.examine(bundle, None, as_json=True)


def test_where_the_processor_cannot_another_way_in_the_bundles_precision_is_the_reference(
    machine: Machine, bundle: Path
) -> None:
    del machine.steps_s[REFERENCE]
    machine.off[LOWERED] = 0.5
    trials = doctor.try_backends(Bundle.open(bundle), doctor.probe_backends(Bundle.open(bundle).manifest), None)
    passed = {trial.backend: trial.measurement.passed for trial in trials if trial.measurement is not None}
    assert passed == {OTHER: True, LOWERED: False}


def test_another_number_of_threads_is_measured_and_not_remembered(
    machine: Machine, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _report(capfd, bundle, "--threads", "1")["remembered"] is False
    assert recall(Bundle.open(bundle).manifest) is None
    run = run_here(capfd, "--doctor", "--bundle", bundle, "--threads", "1")
    assert "not remembered" in run.out


def test_the_table_is_aligned_and_says_all(machine: Machine, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    machine.off[OTHER] = 0.5
    run = run_here(capfd, "--doctor", "--bundle", bundle)
    assert (run.code, run.err) == (0, "")
    lines = run.out.splitlines()
    (head,) = [line for line in lines if line.startswith("backend ")]
    rows = [line for line in lines if line.startswith((f"{REFERENCE} ", f"{OTHER} ", f"{LOWERED} "))]
    assert len(rows) == 3
    for title in ("load", "encode", "step", "decode", "song"):
        end = head.index(title) + len(title)
        assert all(row[end - 1] == "s" and row[end : end + 2] == "  " for row in rows), title
    assert "the reference" in rows[0] and "TOO FAR" in rows[1] and "agrees" in rows[2]
    assert any(line.startswith(str(ABSENT)) and "pip install it" in line for line in lines)
    assert lines[-1].startswith(f"--provider auto takes {LOWERED}")


@pytest.mark.usefixtures("timed_once")
def test_a_real_bundle_is_examined(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = _report(capfd, bundle)
    manifest = Bundle.open(bundle).manifest
    backends = {(backend["provider"], backend["precision"]): backend for backend in report["backends"]}  # type: ignore[attr-defined]
    assert set(backends) == {(f.backend.provider.value, f.backend.precision.value) for f in probe_backends(manifest)}
    assert backends["cpu", "fp32"]["speed"]["step_s"] > 0
    assert all((backend["speed"] is None) == bool(backend["missing"]) for backend in backends.values())
    assert all(
        "`" in backend["missing"] or "this system" in backend["missing"] or backend["provider"] == "openvino"
        for backend in backends.values()
        if backend["missing"]
    )
    kept = recall(manifest)
    assert kept is not None and REFERENCE in [each.backend for each in kept]


@pytest.mark.parametrize(
    "arguments, named",
    [(("voice.wav",), "VOCALS"), (("-o", "band.wav"), "-o"), (("--steps", "4"), "--steps"), (("--seed", "0"), "--seed"),
     (("--provider", "cpu", "--mix", "mix.wav"), "--mix, --provider")],
    ids=["voice", "output", "steps", "default value", "two"],
)  # fmt: skip
def test_what_the_doctor_would_ignore_is_refused(
    arguments: tuple[str, ...], named: str, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_here(capfd, "--doctor", "--bundle", bundle, *arguments)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith(f"error: --doctor measures and makes no band; leave {named} out (see ")
    assert run.err.count("\n") == 1


def test_more_threads_than_processors_do_not_spin_against_each_other(
    machine: Machine, bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samuel_runtime.engines.processors.usable", lambda: 2)
    asked: list[int | None] = []
    load = doctor.Samuel.load
    monkeypatch.setattr(doctor.Samuel, "load", lambda *args: asked.append(args[2]) or load(*args))
    run = run_here(capfd, "--doctor", "--bundle", bundle, "--threads", "1024", "--json")
    assert run.code == 0 and set(asked) == {2}
    assert run.err == "note: --threads 1024: this process may use 2 processors, so it takes 2\n"
