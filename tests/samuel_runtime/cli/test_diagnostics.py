from __future__ import annotations

import json
from pathlib import Path

import pytest

from samuel_runtime.cli import diagnostics
from tests.support.runtime.commands import run_here, write_voice


def test_a_run_is_drawn_and_told_per_take_and_the_lead_sheet_above_the_band(
    tmp_path: Path, sheeted: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    voice = write_voice(tmp_path / "voice.wav", 1.5)
    arguments = (voice, "--bundle", sheeted, "--steps", "2", "--mix", tmp_path / "mix.wav", "--json")
    said = ("--bpm", "120", "--chords", "Am", "--variations", "2")
    run = run_here(capfd, *arguments, *said, "--diagnostics", tmp_path / "with")
    assert run.code == 0, run.err
    pictures = []
    for take in json.loads(run.out)["takes"]:
        folder = Path(take["diagnostics"])
        assert folder.parent == tmp_path / "with"
        pictures.append((folder / "spectrograms.png").read_bytes())
        assert pictures[-1][:4] == b"\x89PNG"
        assert (folder / "sampling.png").read_bytes()[:4] == b"\x89PNG"
        assert (folder / "latents.gif").read_bytes()[:3] == b"GIF"
        told = json.loads((folder / "run.json").read_text())
        assert told["seed"] == take["seed"]
        assert [step["timestep"] for step in told["steps_statistics"]] == [799, 516]
        page = (folder / "lead_sheet.txt").read_text()
        assert page == "120.0 bpm, 4/4 (0:01.5)\n0:00.0  | Am .  .  .  |\n"
    assert len(pictures) == 2

    for name in ("sampling", "latents_animation"):  # drawn above
        monkeypatch.setattr(f"samuel_runtime.cli.plots.{name}", lambda path, *given: path.write_bytes(b"drawn"))
    run = run_here(capfd, *arguments, "--diagnostics", tmp_path / "without")
    assert run.code == 0, run.err
    folder = tmp_path / "without" / "voice.accompaniment"
    assert (folder / "spectrograms.png").read_bytes() not in pictures
    assert not (folder / "lead_sheet.txt").exists()


def test_without_matplotlib_it_says_so_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "find_spec", lambda name: None)
    with pytest.raises(diagnostics.UserError, match=r"samuel-deploy\[plots\]"):
        diagnostics.check_diagnostics(Path("seen"))


def test_voices_of_one_name_in_two_folders_do_not_overwrite_each_others_diagnostics(
    tmp_path: Path, bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    for name in ("spectrograms", "sampling", "latents_animation"):  # drawn above
        monkeypatch.setattr(f"samuel_runtime.cli.plots.{name}", lambda path, *given: path.write_bytes(b"drawn"))
    voices = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        voices.append(write_voice(tmp_path / name / "v.wav", 0.3))
    run = run_here(capfd, *voices, "--bundle", bundle, "--steps", "1", "--diagnostics", tmp_path / "seen", "--json")
    assert run.code == 0, run.err
    told = {take["diagnostics"]: take["vocals"] for take in json.loads(run.out)["takes"]}
    assert set(told) == {str(tmp_path / "seen" / name) for name in ("v.accompaniment", "v.accompaniment-2")}
    for folder, vocals in told.items():
        assert json.loads((Path(folder) / "run.json").read_text())["vocals"] == vocals


def test_a_folder_that_cannot_be_made_is_said_before_any_work(
    tmp_path: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    voice = write_voice(tmp_path / "voice.wav", 0.3)
    run = run_here(capfd, voice, "--bundle", bundle, "--steps", "1", "--diagnostics", voice / "seen")
    assert (run.code, run.err.count("\n")) == (2, 1) and "--diagnostics" in run.err
    assert not (tmp_path / "voice.accompaniment.wav").exists()
