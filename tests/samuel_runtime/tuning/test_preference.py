"""What is kept between runs, and what `--provider auto` and its user make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.engines.availability import ProbedBackend
from samuel_runtime.engines.backend import Backend
from samuel_runtime.settings import Precision, Provider
from samuel_runtime.tuning import preference
from samuel_runtime.tuning.preference import fastest, preferred, recall, remark, remember
from tests.support.runtime.commands import run_here, write_voice
from tests.support.runtime.measured import LOWERED, OTHER, REFERENCE, measurement


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "samuel"


@pytest.fixture
def opened(bundle: Path) -> Bundle:
    return Bundle.open(bundle)


@pytest.fixture
def all_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which three backends can be tried."""
    found = [ProbedBackend(backend, "") for backend in (REFERENCE, OTHER, LOWERED)]
    monkeypatch.setattr(preference, "probe_backends", lambda manifest: found)
    monkeypatch.setattr(preference, "unavailable_reason", lambda backend, manifest: "")


def test_what_was_measured_is_read_back_exactly(opened: Bundle) -> None:
    assert recall(opened.manifest) is None and preferred(opened) is None
    kept = [measurement(), measurement(LOWERED, 0.0123456789012345, error=0.03, passed=False)]
    remember(opened.manifest, kept)
    assert recall(opened.manifest) == kept


def test_the_fastest_that_agrees_is_preferred(opened: Bundle) -> None:
    slow, fast = measurement(step_s=0.05), measurement(OTHER, 0.03, load_s=60.0)
    fastest_of_all = measurement(LOWERED, 0.01, passed=False)
    for kept in ([slow, fast, fastest_of_all], [fastest_of_all, fast, slow]):
        remember(opened.manifest, kept)
        assert preferred(opened) == OTHER
    assert fastest(opened.manifest, [fastest_of_all]) is None


def test_a_gpu_that_is_slower_than_the_processor_is_not_preferred(opened: Bundle) -> None:
    gpu = measurement(Backend(Provider.CUDA, Precision.FP32), 0.06)
    remember(opened.manifest, [gpu, measurement(step_s=0.05)])
    assert preferred(opened) == REFERENCE


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "[]",
        lambda text: text[:-40],
        lambda text: text.replace('"openvino"', '"abacus"'),
        lambda text: text.replace('"step_s": 0.01', '"step_s": -1'),
        lambda text: text.replace('"step_s": 0.01', '"step_s": NaN'),
        lambda text: text.replace('"passed": true', '"passed": [true]'),
        lambda text: "\udcff",
    ],
)
def test_damage_is_as_if_nothing_had_been_kept(damage: object, opened: Bundle, cache: Path) -> None:
    remember(opened.manifest, [measurement(OTHER, 0.01)])
    assert preferred(opened) == OTHER
    (file,) = cache.iterdir()
    file.write_bytes(damage(file.read_text()).encode(errors="surrogateescape"))  # type: ignore[operator]
    assert preferred(opened) is None
    remember(opened.manifest, [measurement(OTHER, 0.01)])
    assert preferred(opened) == OTHER


def test_other_graphs_another_machine_and_other_engines_ask_for_a_new_measurement(
    opened: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(opened.manifest, [measurement()])
    graphs = dict(opened.manifest.graphs)
    name, facts = next(iter(graphs.items()))
    graphs[name] = facts.model_copy(update={"sha256": "0" * 64})
    assert recall(opened.manifest.model_copy(update={"graphs": graphs})) is None
    with monkeypatch.context() as patch:
        patch.setattr(preference.platform, "node", lambda: "elsewhere")
        assert recall(opened.manifest) is None
    with monkeypatch.context() as patch:
        patch.setattr(preference, "engine_versions", lambda: {"onnxruntime": "99.0"})
        assert recall(opened.manifest) is None
    assert recall(opened.manifest) == [measurement()]


def test_a_cache_that_cannot_be_written_is_no_failure(opened: Bundle, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    remember(opened.manifest, [measurement()])
    assert recall(opened.manifest) is None


@pytest.mark.usefixtures("all_run")
def test_that_there_is_something_to_measure_is_said_once(opened: Bundle) -> None:
    said = remark(opened.manifest, REFERENCE)
    assert "samuel-run --doctor" in said and str(LOWERED) in said and "\n" not in said
    assert remark(opened.manifest, REFERENCE) == ""


def test_where_only_one_way_runs_nothing_is_said(opened: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        preference, "probe_backends", lambda m: [ProbedBackend(REFERENCE, ""), ProbedBackend(OTHER, "no such thing")]
    )
    assert remark(opened.manifest, REFERENCE) == ""


def test_a_choice_that_is_gone_is_said_every_time_with_its_reason(
    opened: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(opened.manifest, [measurement(), measurement(LOWERED, 0.001)])
    monkeypatch.setattr(
        preference, "unavailable_reason", lambda backend, manifest: "unplugged" if backend == LOWERED else ""
    )
    monkeypatch.setattr(preference, "engine_versions", dict)  # as if openvino had been uninstalled
    for _ in range(2):
        said = remark(opened.manifest, REFERENCE)
        assert str(LOWERED) in said and "unplugged" in said and "\n" not in said


@pytest.mark.usefixtures("all_run")
def test_samuel_run_says_it_on_stderr_after_the_results_and_only_with_auto(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    voice = write_voice(tmp_path / "voice.wav", 0.3)
    options = [voice, "--bundle", bundle, "--steps", "1", "--json"]
    chosen = run_here(capfd, *options, "--provider", "cpu")
    assert (chosen.code, chosen.err) == (0, "")
    first, second = run_here(capfd, *options), run_here(capfd, *options)
    assert first.err.startswith("note: ") and first.err.count("\n") == 1 and "--doctor" not in first.out
    assert (second.code, second.err) == (0, "")
