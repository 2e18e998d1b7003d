"""The folder of songs: resuming, refusing, the command. The songs are stand-ins, so that no tool is needed."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from samuel_runtime.errors import UserError
from samuel_train.cli.group import main
from samuel_train.cli.synthesize import command
from samuel_train.data.stems import SongFolder
from samuel_train.evaluate.songs import read_facts
from samuel_train.evaluate.written_bass import written_bass
from samuel_train.synth import library
from samuel_train.synth.dsp import SAMPLE_RATE_HZ
from samuel_train.synth.facts import SongFacts
from samuel_train.synth.library import DURATIONS_S, synthesize
from samuel_train.synth.scores.musicxml import Score
from samuel_train.synth.scores.sheets import Sheets
from samuel_train.synth.song import RenderedSong, compose
from samuel_train.synth.tools import require
from tests.support.train.miniature_scores import TUNE, musicxml
from tests.support.train.needs import only_on_path


def stand_in(seed: int, duration_s: float, freest: float, score: Score | None) -> RenderedSong:
    """A song whose stems are noise."""
    composition = compose(seed, duration_s, freest, score)
    noise = 0.1 * np.random.default_rng(seed).standard_normal((2, composition.samples, 2), dtype=np.float32)
    return RenderedSong(noise[0], noise[1], SAMPLE_RATE_HZ, composition.facts)


@pytest.fixture
def without_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "render_song", stand_in)
    monkeypatch.setattr(library, "require", lambda: None)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.usefixtures("without_tools")
def test_song_does_not_depend_on_how_many_there_are_but_on_the_seed(tmp_path: Path) -> None:
    few = synthesize(tmp_path / "few", 1, seed=4, duration_s=1.5, workers=1)
    many = synthesize(tmp_path / "many", 2, seed=4, duration_s=1.5, workers=1)
    other = synthesize(tmp_path / "other", 1, seed=5, duration_s=1.5, workers=1)
    assert digests(few[0]) == digests(many[0])
    assert digests(few[0]) != digests(many[1])
    assert digests(few[0]) != digests(other[0])


@pytest.mark.usefixtures("without_tools")
def test_song_folder_holds_two_stereo_stems_the_facts_and_the_version(tmp_path: Path) -> None:
    (path,) = synthesize(tmp_path, 1, duration_s=1.5, workers=1)
    assert path == tmp_path / "song_00000"
    for name in ("vocals.wav", "accompaniment.wav"):
        info = soundfile.info(path / name)
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (44_100, 2, 66_150, "PCM_16")
    written = json.loads((path / "song.json").read_text())
    assert 60 <= SongFacts.from_dict(written["facts"]).tempo_bpm <= 180
    assert written["recipe"]["generator_version"] == library.GENERATOR_VERSION


@pytest.mark.usefixtures("without_tools")
def test_songs_last_from_5_to_60_seconds_unless_told_otherwise(tmp_path: Path) -> None:
    paths = synthesize(tmp_path, 4, seed=1, workers=1)
    durations_s = [soundfile.info(path / "vocals.wav").duration for path in paths]
    assert len(set(durations_s)) == 4
    assert DURATIONS_S[0] <= min(durations_s) <= max(durations_s) <= DURATIONS_S[1]


@pytest.mark.usefixtures("without_tools")
def test_interrupted_run_keeps_finished_songs_and_renders_the_rest(tmp_path: Path) -> None:
    first, second = synthesize(tmp_path, 2, duration_s=1.5, workers=1)
    before = digests(tmp_path)
    kept_ns = (first / "vocals.wav").stat().st_mtime_ns
    (second / "accompaniment.wav").unlink()
    calls: list[tuple[int, int]] = []
    synthesize(tmp_path, 2, duration_s=1.5, workers=1, progress=lambda done, songs: calls.append((done, songs)))
    assert (first / "vocals.wav").stat().st_mtime_ns == kept_ns
    assert digests(tmp_path) == before
    assert calls == [(1, 2), (2, 2)]


@pytest.mark.usefixtures("without_tools")
def test_songs_of_another_recipe_are_rendered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesize(tmp_path, 1, seed=0, duration_s=1.5, workers=1)
    before = digests(tmp_path)
    synthesize(tmp_path, 1, seed=1, duration_s=1.5, workers=1)
    after = digests(tmp_path)
    assert after != before
    synthesize(tmp_path, 1, seed=1, duration_s=1.5, workers=1, freest=0.0)
    assert digests(tmp_path) != after
    synthesize(tmp_path, 1, seed=1, duration_s=1.5, workers=1)
    assert digests(tmp_path) == after
    monkeypatch.setattr(library, "GENERATOR_VERSION", 99)
    synthesize(tmp_path, 1, seed=1, duration_s=1.5, workers=1)
    assert digests(tmp_path) != after


@pytest.mark.usefixtures("without_tools")
def test_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "song_00000").mkdir()
    (tmp_path / "song_00000" / "diary.txt").write_text("dear diary")
    with pytest.raises(UserError, match="song_00000"):
        synthesize(tmp_path, 1, duration_s=1.5, workers=1)
    assert (tmp_path / "song_00000" / "diary.txt").read_text() == "dear diary"


@pytest.mark.usefixtures("without_tools")
def test_songs_from_scores_say_so_and_the_others_keep_their_bytes(tmp_path: Path) -> None:
    sheets = Sheets([TUNE], share=0.5)
    paths = synthesize(tmp_path / "some", 2, seed=3, duration_s=4.0, workers=1, sheets=sheets)
    procedural = synthesize(tmp_path / "none", 2, seed=3, duration_s=4.0, workers=1)
    assert digests(paths[0]) == digests(procedural[0])
    assert digests(paths[1]) != digests(procedural[1])
    written = json.loads((paths[1] / "song.json").read_text())
    assert written["recipe"]["score"] == TUNE.name
    assert read_facts(SongFolder("s", paths[1] / "vocals.wav", ())) == SongFacts.from_dict(written["facts"])
    assert written_bass(paths[0]) and not written_bass(paths[1])


@pytest.mark.usefixtures("without_tools")
def test_songs_of_a_score_that_has_changed_are_rendered_again(tmp_path: Path) -> None:
    changed = replace(TUNE, notes=TUNE.notes[1:])
    for score, kept in ((TUNE, 0), (TUNE, 1), (changed, 0), (changed, 1)):
        calls: list[tuple[int, int]] = []
        note = partial(_note, calls)
        synthesize(tmp_path, 1, duration_s=4.0, workers=1, sheets=Sheets([score]), progress=note)
        assert calls[0] == (kept, 1)


def _note(calls: list[tuple[int, int]], done: int, songs: int) -> None:
    calls.append((done, songs))


@pytest.mark.usefixtures("without_tools")
@pytest.mark.parametrize(
    ("songs", "seed", "workers", "freest"),
    [(0, 0, 1, 1.0), (10**9, 0, 1, 1.0), (1, -1, 1, 1.0), (1, 0, 0, 1.0), (1, 0, 1, 1.5)],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, songs: int, seed: int, workers: int, freest: float) -> None:
    with pytest.raises(UserError):
        synthesize(tmp_path, songs, seed, 1.5, workers, freest=freest)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_tools")
def test_command_renders_what_it_is_told(tmp_path: Path) -> None:
    options = ["-o", str(tmp_path / "stems"), "--songs", "1", "--seed", "2", "--duration-s", "1.5", "--workers", "1",
               "--freest", "0.5"]  # fmt: skip
    result = CliRunner().invoke(command, options)
    assert result.exit_code == 0, result.output
    assert "1 songs" in result.output
    synthesize(tmp_path / "same", 1, seed=2, duration_s=1.5, workers=1, freest=0.5)
    assert digests(tmp_path / "stems") == digests(tmp_path / "same")


@pytest.mark.usefixtures("without_tools")
def test_command_takes_held_out_scores(tmp_path: Path) -> None:
    pytest.importorskip("partitura")
    for name in ("train", "heldout"):
        (tmp_path / "scores" / name).mkdir(parents=True)
        (tmp_path / "scores" / name / f"{name}.xml").write_text(musicxml())
    (tmp_path / "scores" / "broken.xml").write_text("<score-partwise>")
    for options, name in ((["--held-out"], "heldout/heldout.xml"), ([], "train/train.xml")):
        out = tmp_path / name.replace("/", "-")
        arguments = ["-o", str(out), "--songs", "1", "--duration-s", "2", "--workers", "1", "--sheets",
                     str(tmp_path / "scores"), *options]  # fmt: skip
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 0, result.output
        assert ("skipped broken.xml" in result.stderr) is not bool(options)
        recipe = json.loads((out / "song_00000" / "song.json").read_text())["recipe"]
        assert recipe["score"] == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--held-out"], "--held-out needs --sheets"),
        (["--sheets-share", "0.5"], "--sheets-share needs --sheets"),
        (["--sheets", "{empty}"], "holds no MusicXML score"),
        (["--sheets", "{empty}", "--partitura"], "pip install 'samuel-deploy[scores]'"),
    ],
)
def test_command_says_in_one_line_what_is_wrong_with_sheets(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    if "--partitura" in options:  # as where it is not installed
        monkeypatch.setitem(sys.modules, "partitura", None)
    elif "--sheets" in options:
        pytest.importorskip("partitura")
    (tmp_path / "empty").mkdir()
    given = [option.format(empty=tmp_path / "empty") for option in options if option != "--partitura"]
    monkeypatch.setattr("sys.argv", ["samuel-train", "synthesize", "-o", str(tmp_path / "stems"), *given])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not (tmp_path / "stems").exists()


def test_command_without_output_exits_with_2() -> None:
    assert CliRunner().invoke(command, ["--songs", "1"]).exit_code == 2


def test_missing_programs_are_named_with_the_command_that_installs_them(tmp_path: Path) -> None:
    with only_on_path(tmp_path), pytest.raises(UserError, match=r"apt-get install fluidsynth") as raised:
        require()
    assert "\n" not in str(raised.value)


def test_command_exits_with_2_and_one_line_where_a_tool_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["samuel-train", "synthesize", "-o", str(tmp_path / "stems"), "--songs", "1"])
    with only_on_path(tmp_path), pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "apt-get install fluidsynth" in lines[0]
    assert not (tmp_path / "stems").exists()
