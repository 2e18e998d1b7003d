"""Lead sheets on disk: JSON, which keeps all, and MIDI, which sequencers read and write."""

from samuel_runtime.leadsheet.files.by_suffix import (
    JSON_SUFFIXES,
    MIDI_SUFFIXES,
    encoded,
    read_sheet,
    write_sheet,
)

__all__ = ["JSON_SUFFIXES", "MIDI_SUFFIXES", "encoded", "read_sheet", "write_sheet"]
