"""A lead sheet as text: a line for the terminal, and a page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from samuel_runtime.leadsheet.chords import symbol
from samuel_runtime.leadsheet.sheet import LeadSheet

_BARS_MOST = 8
_BARS_A_LINE = 4
_SAME_BEAT_S = 1e-6
_GOES_ON = "."


def line_of(sheet: LeadSheet) -> str:
    """One line, such as ``92.1 bpm, 4/4, A minor: | Am . F . | C . G . |``; empty if nothing is known.

    Every beat has its place, with a dot where the chord goes on; long songs end with dots after eight bars.
    """
    bars = _bars(sheet)
    if bars:
        shown = " | ".join(" ".join(bar) for _, bar in bars[:_BARS_MOST])
        chords = f"| {shown} | ..." if len(bars) > _BARS_MOST else f"| {shown} |"
    else:
        names = [symbol(chord.name) for chord in sheet.chords]
        chords = " ".join([*names[:_BARS_MOST], *(["..."] if len(names) > _BARS_MOST else [])])
    return ": ".join(part for part in (_head(sheet), chords) if part)


def page_of(sheet: LeadSheet) -> str:
    """All bars, four a line, each line with the time at which it begins."""
    bars = _bars(sheet)
    width = max((len(name) for _, bar in bars for name in bar), default=0)
    lines = [f"{_head(sheet) or 'nothing is known'} ({_clock(sheet.duration_s)})"]
    for place in range(0, len(bars), _BARS_A_LINE):
        row = bars[place : place + _BARS_A_LINE]
        shown = " | ".join(" ".join(name.ljust(width) for name in bar) for _, bar in row)
        lines.append(f"{_clock(row[0][0])}  | {shown} |")
    if not bars:
        lines += [f"{_clock(chord.start_s)}  {symbol(chord.name)}" for chord in sheet.chords]
    return "\n".join(lines) + "\n"


def _head(sheet: LeadSheet) -> str:
    tempo_bpm = sheet.tempo_bpm
    parts = [
        None if tempo_bpm is None else f"{tempo_bpm:.1f} bpm",
        sheet.meter.value if sheet.downbeats_s else None,
        sheet.key,
    ]
    return ", ".join(part for part in parts if part)


def _bars(sheet: LeadSheet) -> list[tuple[float, list[str]]]:
    """Start and beats of every bar, what is sung before the first as one; none without downbeats or chords."""
    if not sheet.downbeats_s or not sheet.chords:
        return []
    names = list(_beats(sheet))
    starts = [bisect_left(sheet.beats_s, time_s - _SAME_BEAT_S) for time_s in sheet.downbeats_s]
    if any(name != _GOES_ON for name in names[: starts[0]]):
        starts.insert(0, 0)
    bounds = zip(starts, [*starts[1:], len(names)], strict=True)
    return [(sheet.beats_s[first], names[first:end]) for first, end in bounds]


def _beats(sheet: LeadSheet) -> Iterator[str]:
    """For each beat its chord, or a dot: what sounds in the middle of the beat."""
    beats_s = sheet.beats_s
    starts_s = [chord.start_s for chord in sheet.chords]
    before = -1
    for start_s, end_s in zip(beats_s, [*beats_s[1:], sheet.duration_s], strict=True):
        here = bisect_right(starts_s, (start_s + end_s) / 2) - 1
        yield _GOES_ON if here == before else symbol(sheet.chords[here].name)
        before = here


def _clock(time_s: float) -> str:
    tenths = round(time_s * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
