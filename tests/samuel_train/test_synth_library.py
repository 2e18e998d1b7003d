"""The folder of songs: bytes that do not depend on the workers, resuming, refusing, the command, the example."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

import samuel_runtime
from samuel_runtime.errors import UserError
from samuel_train.synth import SongFacts, synthesize
from samuel_train.synth.cli import command
from samuel_train.synth.dsp import from_db, rms
from samuel_train.synth.example import example_voice


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_workers_do_not_change_the_bytes(tmp_path: Path) -> None:
    synthesize(tmp_path / "one", 3, seed=4, duration_s=1.5, workers=1)
    synthesize(tmp_path / "two", 3, seed=4, duration_s=1.5, workers=2)
    assert len(digests(tmp_path / "one")) == 9
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_song_does_not_depend_on_how_many_there_are_but_on_the_seed(tmp_path: Path) -> None:
    few = synthesize(tmp_path / "few", 1, seed=4, duration_s=1.5, workers=1)
    many = synthesize(tmp_path / "many", 2, seed=4, duration_s=1.5, workers=1)
    other = synthesize(tmp_path / "other", 1, seed=5, duration_s=1.5, workers=1)
    assert digests(few[0]) == digests(many[0])
    assert digests(few[0]) != digests(many[1])
    assert digests(few[0]) != digests(other[0])


def test_song_folder_holds_two_stereo_stems_and_the_facts(tmp_path: Path) -> None:
    (path,) = synthesize(tmp_path, 1, duration_s=1.5, workers=1)
    assert path == tmp_path / "song_00000"
    for name in ("vocals.wav", "accompaniment.wav"):
        info = soundfile.info(path / name)
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (44_100, 2, 66_150, "PCM_16")
    facts = SongFacts.from_dict(json.loads((path / "song.json").read_text())["facts"])
    assert 70 <= facts.tempo_bpm <= 150


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


def test_songs_of_another_seed_are_rendered_again(tmp_path: Path) -> None:
    synthesize(tmp_path, 1, seed=0, duration_s=1.5, workers=1)
    before = digests(tmp_path)
    synthesize(tmp_path, 1, seed=1, duration_s=1.5, workers=1)
    assert digests(tmp_path) != before


def test_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "song_00000").mkdir()
    (tmp_path / "song_00000" / "diary.txt").write_text("dear diary")
    with pytest.raises(UserError, match="song_00000"):
        synthesize(tmp_path, 1, duration_s=1.5, workers=1)
    assert (tmp_path / "song_00000" / "diary.txt").read_text() == "dear diary"


@pytest.mark.parametrize(("songs", "seed", "workers"), [(0, 0, 1), (10**9, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, songs: int, seed: int, workers: int) -> None:
    with pytest.raises(UserError):
        synthesize(tmp_path, songs, seed, 1.5, workers)
    assert not list(tmp_path.iterdir())


def test_command_renders_what_it_is_told(tmp_path: Path) -> None:
    options = ["-o", str(tmp_path / "stems"), "--songs", "1", "--seed", "2", "--duration-s", "1.5", "--workers", "1"]
    result = CliRunner().invoke(command, options)
    assert result.exit_code == 0, result.output
    assert "1 songs" in result.output
    synthesize(tmp_path / "same", 1, seed=2, duration_s=1.5, workers=1)
    assert digests(tmp_path / "stems") == digests(tmp_path / "same")


def test_command_without_output_exits_with_2() -> None:
    assert CliRunner().invoke(command, ["--songs", "1"]).exit_code == 2


def test_packaged_example_is_what_the_generator_writes(tmp_path: Path) -> None:
    example_voice(tmp_path / "voice.flac")
    packaged = Path(samuel_runtime.__file__).parent / "assets" / "example_voice.flac"
    written, rate_hz = soundfile.read(tmp_path / "voice.flac")
    stored, stored_rate_hz = soundfile.read(packaged)
    assert packaged.stat().st_size < 1_000_000
    assert rate_hz == stored_rate_hz == 44_100
    assert written.shape == stored.shape == (round(11.2 * 44_100),)
    # Another processor's floating point may round another way; the voice is the same.
    assert rms(written - stored) < 1e-3 * rms(stored)
    assert from_db(-20.5) < rms(stored) < from_db(-19.5)
