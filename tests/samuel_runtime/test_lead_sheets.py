"""A model that takes a lead sheet: what it hears of it, and what a run says and writes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime import Audio, LeadSheet, Samuel, Settings, UserError, read_sheet, write_sheet
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.leadsheet.raster import CHANNELS, rasterised
from samuel_runtime.leadsheet.sheet import ChordSpan
from tests.support.runtime.bad_bundles import edit
from tests.support.runtime.commands import run_here, singing, write_voice
from tests.support.runtime.lead_sheets import a_sheet

VOICE = Audio(singing(1.5), 44_100)
BPM = {"bpm": 150.0, "first_beat_s": 0.1, "chords": "Am F"}


@pytest.fixture(scope="module")
def samuel(sheeted: Path) -> Samuel:
    return Samuel.load(sheeted, threads=1)


def played(samuel: Samuel, **said: object) -> np.ndarray:
    return samuel.accompany(VOICE, Settings(steps=2, **said)).samples  # type: ignore[arg-type]


def test_every_word_changes_the_band_and_none_leaves_it(samuel: Samuel, bundle: Path) -> None:
    plain = played(samuel)
    np.testing.assert_array_equal(plain, played(Samuel.load(bundle, threads=1)))  # zeros: as without a sheet
    bands = [plain, *(played(samuel, **{**BPM, **said}) for said in ({}, {"bpm": 140.0}, {"meter": "3/4"},
             {"chords": "F"}, {"first_beat_s": 0.2}))]  # fmt: skip
    assert len({band.tobytes() for band in bands}) == len(bands)
    np.testing.assert_array_equal(bands[1], played(samuel, **BPM))


def test_a_sheet_that_was_listened_to_gives_the_same_band(samuel: Samuel) -> None:
    sheet = samuel.listen(VOICE, Settings(**BPM))  # type: ignore[arg-type]
    assert sheet.chords == (ChordSpan(0.1, "A:min"),) and sheet.duration_s == 1.5
    np.testing.assert_array_equal(played(samuel, lead_sheet=sheet), played(samuel, **BPM))


def test_a_stream_is_played_from_the_sheet_too(samuel: Samuel) -> None:
    settings = Settings(steps=2, **BPM)  # type: ignore[arg-type]
    pieces = np.concatenate(list(samuel.stream(VOICE, settings)))
    other = np.concatenate(list(samuel.stream(VOICE, Settings(steps=2))))
    assert pieces.shape == (len(VOICE.samples), 2) and not np.array_equal(pieces, other)


def test_windows_take_their_slice_of_one_sheet(samuel: Samuel, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = samuel.manifest.model.model_copy(update={"frames": 64})
    short = Samuel(samuel.manifest.model_copy(update={"model": facts}), samuel.codec, samuel.denoiser)
    seen, original = [], samuel.denoiser.trajectory

    def trajectory(*arguments: object) -> object:
        seen.append(arguments[-1])
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(samuel.denoiser, "trajectory", trajectory)
    sheet, vocals = a_sheet(), np.zeros((64, 160), np.float32)
    short.generate(vocals, Settings(steps=1), sheet=sheet)
    whole = rasterised(sheet, 160, 2048 / 44_100)
    starts = [0, 32, 64, 96]
    assert len(seen) == len(starts)
    for start, part in zip(starts, seen, strict=True):
        np.testing.assert_array_equal(part, whole[None, :, start : start + 64])


def test_a_model_without_sheets_refuses_what_is_said_of_the_song(bundle: Path) -> None:
    samuel = Samuel.load(bundle, threads=1)
    with pytest.raises(UserError, match=r"^`bpm`, `chords`: this bundle's model takes no lead sheet; leave them out"):
        samuel.accompany(VOICE, Settings(bpm=92, chords="Am"))
    vocals = np.zeros((1, 64, 32), np.float32)
    with pytest.raises(ValueError, match="a sheet of"):
        samuel.conditioned(vocals, np.zeros((1, CHANNELS, 32), np.float32))


def test_a_sheet_of_another_length_than_the_vocals_is_refused(samuel: Samuel) -> None:
    vocals = np.zeros((1, 64, 32), np.float32)
    with pytest.raises(ValueError, match="a sheet of"):
        samuel.conditioned(vocals, np.zeros((1, CHANNELS, 31), np.float32))


@pytest.mark.parametrize("channels", [0, 33])
def test_a_bundle_whose_graph_and_manifest_differ_is_refused(sheeted: Path, tmp_path: Path, channels: int) -> None:
    copy = Path(shutil.copytree(sheeted, tmp_path / "bundle"))
    edit(copy, lambda values: values["model"].update(sheet_channels=channels))
    with pytest.raises(UserError, match=r"bundle\.json.*export the bundle again"):
        Bundle.open(copy)


def test_a_run_again_from_its_own_lead_sheet_writes_the_same_bytes(
    sheeted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    voice, sheet, midi = write_voice(tmp_path / "v.wav", 2.0), tmp_path / "song.json", tmp_path / "song.mid"
    options = (voice, "--bundle", sheeted, "--steps", "2")
    said = ("--bpm", "149.7", "--first-beat-s", "0.123", "--chords", "Am:2 F:2", "--key", "Am")
    run = run_here(capfd, *options, "-o", tmp_path / "a.wav", *said, "--lead-sheet-out", sheet, "--midi", midi)
    assert run.code == 0, run.err
    assert run.out.startswith("149.7 bpm, 4/4, A minor: | Am . F . | Am |\n")
    assert f"\n{sheet}\n{midi}\n" in run.out
    again = run_here(capfd, *options, "-o", tmp_path / "b.wav", "--lead-sheet", sheet, "--json")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert json.loads(again.out)["takes"][0]["lead_sheet"] == json.loads(sheet.read_text())
    assert read_sheet(midi).beats_s == pytest.approx(read_sheet(sheet).beats_s, abs=1e-3)
    plain = run_here(capfd, *options, "-o", tmp_path / "c.wav", "--json")
    assert json.loads(plain.out)["takes"][0]["lead_sheet"] is None
    assert (tmp_path / "a.wav").read_bytes() != (tmp_path / "c.wav").read_bytes()


def test_a_sheet_for_another_song_is_noted(sheeted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_sheet(a_sheet(), tmp_path / "song.json")
    voice = write_voice(tmp_path / "v.wav", 0.5)
    run = run_here(capfd, voice, "--bundle", sheeted, "--steps", "1", "--lead-sheet", tmp_path / "song.json")
    assert run.code == 0
    assert run.err == "note: the lead sheet is for 8.0 s and the recording has 0.5 s, so it is cut\n"


def test_a_sheet_for_each_voice_goes_into_a_folder(
    sheeted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    voices = [write_voice(tmp_path / f"{name}.wav", 1.0) for name in ("one", "two")]
    run = run_here(
        capfd, *voices, "--bundle", sheeted, "--steps", "1", "-o", f"{tmp_path / 'bands'}/", "--variations", "2",
        "--bpm", "150", "--lead-sheet-out", f"{tmp_path / 'sheets'}/", "--midi", tmp_path / "sheets",
    )  # fmt: skip
    assert run.code == 0, run.err
    names = {f"{name}.lead-sheet{suffix}" for name in ("one", "two") for suffix in (".json", ".mid")}
    assert {path.name for path in (tmp_path / "sheets").iterdir()} == names
    assert run.out.count("150.0 bpm, 4/4\n") == 2
    assert isinstance(read_sheet(tmp_path / "sheets" / "two.lead-sheet.json"), LeadSheet)
