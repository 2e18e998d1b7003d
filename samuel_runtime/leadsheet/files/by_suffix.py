"""Lead sheets on disk: JSON or MIDI by suffix, read within bounds, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name, is_folder, replacing
from samuel_runtime.leadsheet.sheet import LeadSheet

JSON_SUFFIXES = (".json",)
MIDI_SUFFIXES = (".mid", ".midi")

_SUBJECT = "lead sheet: "  # of messages that know no file


def read_sheet(path: str | os.PathLike[str]) -> LeadSheet:
    """Read a lead sheet from JSON or MIDI.

    Raises:
        UserError: there is none, or something is wrong with it; the message names the file.
    """
    path = Path(path)
    check_name(path)
    is_midi = _is_midi(path)
    # Imported here: `samuel-run --help` reads no sheet, and pydantic and mido take their time.
    if is_midi:
        from samuel_runtime.leadsheet.files.midi_reading import LARGEST_BYTES as largest  # noqa: N811
        from samuel_runtime.leadsheet.files.midi_reading import from_midi as parsed
    else:
        from samuel_runtime.leadsheet.files.json_format import LARGEST_BYTES as largest  # noqa: N811
        from samuel_runtime.leadsheet.files.json_format import from_json as parsed
    content = _content(path, largest)
    try:
        return parsed(content)
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix(_SUBJECT)}") from error


def write_sheet(sheet: LeadSheet, path: str | os.PathLike[str]) -> None:
    """Write a lead sheet as JSON or MIDI.

    Raises:
        UserError: the suffix is neither's, MIDI cannot hold the sheet, or the file cannot be written.
    """
    path = Path(path)
    check_name(path)
    content = encoded(sheet, path)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def encoded(sheet: LeadSheet, path: Path) -> bytes:
    """What a file of this name holds.

    Raises:
        UserError: the suffix is neither's, or MIDI cannot hold the sheet.
    """
    is_midi = _is_midi(path)
    try:
        if is_midi:
            from samuel_runtime.leadsheet.files.midi_writing import to_midi

            return to_midi(sheet)
        from samuel_runtime.leadsheet.files.json_format import to_json

        return to_json(sheet)
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix(_SUBJECT)}") from error


def _is_midi(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in JSON_SUFFIXES + MIDI_SUFFIXES:
        known = ", ".join(JSON_SUFFIXES + MIDI_SUFFIXES)
        raise UserError(f"{path}: {suffix or 'a file without suffix'} is no lead sheet; use {known}")
    return suffix in MIDI_SUFFIXES


def _content(path: Path, largest_bytes: int) -> bytes:
    if is_folder(path):
        raise UserError(f"{path}: is a folder; name the lead sheet in it")
    try:
        with path.open("rb") as file:
            content = file.read(largest_bytes + 1)  # whatever size a pipe or a device says that it has
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name of the lead sheet") from error
    if len(content) > largest_bytes:
        raise UserError(f"{path}: has more than {largest_bytes >> 20} MiB; give a lead sheet of one song")
    return content
