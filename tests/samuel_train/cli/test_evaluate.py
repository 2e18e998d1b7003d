"""``samuel-train evaluate`` with a miniature bundle, and the mistakes one can make."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from samuel_runtime.errors import UserError
from samuel_train.cli.evaluate import command
from tests.support.runtime.bad_bundles import edit
from tests.support.train import signals
from tests.support.train import toy_songs as toy

pytestmark = pytest.mark.usefixtures("remembered_features")


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stems")
    for name, transposed in (("a", 0), ("b", 5)):
        facts = toy.FACTS if name == "a" else None
        toy.write_song(root / name, signals.scale(60, range(0, 12, 2))[: 6 * 44100], toy.band(transposed), facts)
    return root


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def without_a_picture(patch: pytest.MonkeyPatch) -> None:
    """One is drawn in this file."""
    patch.setattr("samuel_train.evaluate.job.draw", lambda path, results: path.write_bytes(b"drawn") and b"drawn")


def test_a_grid_becomes_a_table_results_and_a_picture(
    bundle: Path, stems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--steps", "2,1", "--samplers", "ddim", "--guidance", "1.5", "--seed", "3", "--threads", "1"]
    first = _run(bundle, stems, "-o", tmp_path / "first.json", *options)
    assert first.exit_code == 0, first.output
    results = json.loads((tmp_path / "first.json").read_text())
    assert [row["kind"] for row in results["rows"]] == ["truth", "codec", "other", "case", "case"]
    cases = [(row["case"]["sampler"], row["case"]["steps"]) for row in results["rows"][3:]]
    assert cases == [("ddim", 1), ("ddim", 2)]
    assert results["rows"][0]["metrics"]["harmony"]["mean"] == pytest.approx(1)
    assert results["rows"][3]["metrics"] != results["rows"][4]["metrics"]
    assert results["rows"][0]["metrics"]["chords"]["songs"][1] is None
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    assert "ddim, guidance 1.5, 2 steps" in first.stdout
    without_a_picture(monkeypatch)
    _run(bundle, stems, "-o", tmp_path / "again.json", *options)
    assert (tmp_path / "again.json").read_text() == (tmp_path / "first.json").read_text()


@pytest.fixture(scope="module")
def everything(
    bundle: Path, remembered_features: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """Where the results are of one call that asks for all there is, and how it ended; windows last six seconds."""
    folder = tmp_path_factory.mktemp("everything")
    short = Path(shutil.copytree(bundle, folder / "bundle"))
    edit(short, lambda manifest: manifest["model"].update(frames=128))
    facts = toy.FACTS | {"beats_s": [0.25 * beat for beat in range(24)]}  # bars of a second, to have some to loop
    toy.write_song(folder / "stems" / "a", toy.band(), toy.band(), facts)
    toy.write_song(folder / "stems" / "b", toy.band(), toy.band(5), None)
    voice = folder / "stems" / "a" / "vocals.wav"
    options = ["--steps", "1", "--threads", "1", "--transpose", voice, "--semitones", "-5,2", "--transpose-seeds", "1"]
    more = ["--windows", "0.2", "--page", folder / "r.html"]
    with pytest.MonkeyPatch.context() as patch:
        without_a_picture(patch)
        return folder, _run(short, folder / "stems", "-o", folder / "r.json", *options, *more)


def test_guidance_is_the_bundles_if_none_is_asked_for(everything: tuple[Path, Result]) -> None:
    assert json.loads((everything[0] / "r.json").read_text())["rows"][3]["case"]["guidance"] == 2.0


def test_moved_voices_long_songs_and_a_page_are_made_on_request(everything: tuple[Path, Result]) -> None:
    folder, result = everything
    assert result.exit_code == 0, result.output
    written = json.loads((folder / "r.json").read_text())
    (moved,) = written["transposition"]
    assert moved["voice"] == "a/vocals.wav" and [s["semitones"] for s in moved["band"]["spans"]["shifts"]] == [-5, 2]
    assert moved["controls"]["voice"]["spans"]["right"] == 2
    truth, band = written["windows"]
    assert truth["case"] is None and band["case"]["steps"] == 1 and band["songs"] == ["a"]
    assert len(band["windows_s"]) >= 2
    assert "skipped b: shorter than 0.2 min" in result.stderr
    page = (folder / "r.html").read_text()
    assert page.count("<audio") == 10 and "a/vocals.wav, unipc" in page
    assert result.stdout.rstrip().endswith("MB)") and "key from, 0.2 min" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--semitones", "12"], "12 is not in the range"),
        (["--windows", "0"], "0.0 is not in the range"),
        (["--transpose-seeds", "0"], "0 is not in the range"),
        (["--steps", "4,none"], "'none' is not a valid integer range"),
        (["--steps", "4,0"], "0 is not in the range"),
        (["--samplers", "ddim,euler"], "'euler' is not one of"),
        (["--guidance", "1,-1"], "-1.0 is not in the range"),
        (["--songs", "1"], "1 is not in the range"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: list[str], said: str) -> None:
    result = _run(tmp_path, tmp_path, *options)
    assert result.exit_code == 2 and said in result.output


def test_missing_songs_are_told_before_anything_is_loaded(tmp_path: Path) -> None:
    result = _run(tmp_path / "no-bundle", tmp_path / "no-stems")
    assert isinstance(result.exception, UserError) and "no-stems: no such folder" in str(result.exception)


@pytest.mark.parametrize("page", ["page.txt", "nowhere/page.html"])
def test_a_place_that_cannot_take_the_page_is_refused_before_the_work(tmp_path: Path, page: str) -> None:
    result = _run(tmp_path / "no-bundle", tmp_path, "-o", tmp_path / "r.json", "--page", tmp_path / page)
    assert isinstance(result.exception, UserError)
    assert f"{page}: the page is an .html file in a folder that exists" in str(result.exception)


def test_a_voice_that_is_missing_is_told_before_the_bundle_is_loaded(tmp_path: Path) -> None:
    result = _run(tmp_path / "no-bundle", tmp_path, "-o", tmp_path / "r.json", "--transpose", tmp_path / "none.wav")
    assert isinstance(result.exception, UserError) and "none.wav" in str(result.exception)


@pytest.mark.parametrize("output", ["results.png", "nowhere/results.json"])
def test_a_place_that_cannot_take_the_results_is_refused_before_the_work(tmp_path: Path, output: str) -> None:
    result = _run(tmp_path / "no-bundle", tmp_path, "-o", tmp_path / output)
    assert isinstance(result.exception, UserError)
    assert f"{output}: results go to a .json file in a folder that exists" in str(result.exception)


def test_a_missing_library_is_named_with_what_adds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samuel_train.cli.evaluate.find_spec", lambda name: None if name == "mir_eval" else object())
    result = _run(tmp_path, tmp_path)
    assert isinstance(result.exception, UserError)
    assert "needs mir_eval; add it with `pip install 'samuel-deploy[evaluate,cpu]'`" in str(result.exception)


def test_help_imports_nothing_heavy() -> None:
    heavy = ["librosa", "mir_eval", "matplotlib", "torch", "onnxruntime"]
    assert all(importlib.util.find_spec(name) for name in heavy)
    code = f"import sys, samuel_train.cli.evaluate; sys.exit(bool(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
