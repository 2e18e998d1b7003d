"""Lead sheets as JSON: exact, bounded, and strict about what a person wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.files import json_format, read_sheet, write_sheet
from samuel_runtime.leadsheet.files.json_format import from_json, to_dict, to_json
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet
from tests.support.runtime.lead_sheets import a_sheet, sheets


@given(sheet=sheets())
def test_what_is_written_is_read_exactly(sheet: LeadSheet) -> None:
    content = to_json(sheet)
    assert from_json(content) == sheet
    assert to_json(from_json(content)) == content
    assert json.loads(content) == to_dict(sheet)


def test_whole_numbers_are_written_as_they_are_read() -> None:
    sheet = LeadSheet(10, beats_s=(1, 2), chords=(ChordSpan(1, "C", 1),))
    assert to_json(from_json(to_json(sheet))) == to_json(sheet)


def test_a_person_finds_chords_line_by_line() -> None:
    lines = to_json(a_sheet()).decode().splitlines()
    assert '  {"start_s": 2.3, "name": "F:maj", "confidence": 1.0},' in lines
    assert ' "tempo_bpm": 120.0,' in lines


def test_most_may_be_left_out() -> None:
    written = b'{"schema_version": 1, "duration_s": 9, "chords": [{"start_s": 0, "name": "Am"}]}'
    assert from_json(written) == LeadSheet(9.0, chords=(ChordSpan(0.0, "Am"),))


def edited(**changes: Any) -> bytes:
    return json.dumps({**to_dict(a_sheet()), **changes}).encode()


BAD = {
    "not JSON": (b"beats: 1 2 3", "is not JSON"),
    "empty": (b"", "is not JSON"),
    "a list": (b"[1, 2]", "is no lead sheet"),
    "not text": (bytes(range(128, 256)), "is not JSON"),
    "nested deeply": (b'{"schema_version": ' + b"[" * 1_000_000, "is not JSON"),
    "nested deeply, and closed": (b'{"schema_version": 1, "key": ' + b"[" * 9999 + b"]" * 9999 + b"}", "is not JSON"),
    "NaN": (edited(beats_s=[1.0, float("nan")]), "is not JSON"),
    "infinity": (edited(duration_s=float("inf")), "is not JSON"),
    "beyond any number": (edited(duration_s="X").replace(b'"X"', b"1e999"), "duration_s"),
    "a huge number": (edited(duration_s="X").replace(b'"X"', b"9" * 100_000), "is not JSON|duration_s"),
    "no schema": (b'{"duration_s": 9}', "schema_version of 1"),
    "newer schema": (edited(schema_version=2), "newer than this software's 1; upgrade"),
    "an unknown key": (edited(tempo=120), "tempo: Extra inputs"),
    "beats as words": (edited(beats_s=["0.3"]), r"beats_s\.0: "),
    "too many beats": (edited(beats_s=[0.0] * 100_001), "beats_s: "),
    "a chord that is none": (edited(chords=[{"start_s": 1.0, "name": "H7"}]), "'H7' is no chord"),
    "a note that is none": (edited(melody=[{"start_s": 1.0, "duration_s": 1.0, "midi": 200.0}]), r"melody\.0\.midi"),
    "more than sure": (edited(chords=[{"start_s": 1.0, "name": "C", "confidence": 2.0}]), r"chords\.0\.confidence"),
    "beats that run backwards": (edited(beats_s=[1.0, 0.5], downbeats_s=[]), "beats run backwards"),
    "another tempo": (edited(tempo_bpm=100.0), "tempo_bpm is 100.0 and the beats have 120.000"),
    "a tempo without beats": (edited(beats_s=[], downbeats_s=[]), "there are no beats"),
    "another meter": (edited(meter="7/8"), "meter must be one of"),
}  # fmt: skip


@pytest.mark.parametrize("content, said", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_one_line_that_names_it(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "song.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as refused:
        read_sheet(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "song.json"
    path.write_bytes(b" " * (json_format.LARGEST_BYTES + 1))
    with pytest.raises(UserError, match="more than 16 MiB"):
        read_sheet(path)


def test_nothing_is_written_that_is_too_large_to_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(json_format, "LARGEST_BYTES", 100)
    with pytest.raises(UserError, match="more than one song"):
        write_sheet(a_sheet(), tmp_path / "song.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["song.txt", "song", "nowhere.json", "folder.json"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UserError, match=name):
        read_sheet(tmp_path / name)
