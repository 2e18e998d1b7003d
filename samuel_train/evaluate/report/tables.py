"""All results as text: the metrics, the voices that were moved, and the long songs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from samuel_train.evaluate.report.report import Results, legend, table
from samuel_train.evaluate.report.rows import Summary
from samuel_train.evaluate.studies.drift import MEASURES, Drift
from samuel_train.evaluate.studies.transposition import Followed, Pooling, Transposition

_WIDTH = 8
_PLACES = {"key": 2, "harmony": 2, "home": 2, "tempo": 1, "click": 1, "level": 1}


def said(results: Results) -> list[str]:
    """Paragraphs: every table followed by what it means."""
    paragraphs = [table(results.rows), legend()]
    if results.transpositions:
        paragraphs += [transposition_table(results.transpositions), transposition_legend()]
    if results.drifts:
        paragraphs += [drift_table(results.drifts), drift_legend()]
    return paragraphs


def transposition_table(results: Sequence[Transposition]) -> str:
    """A paragraph per voice and case: the best turn for every shift, and how many are right."""
    return "\n\n".join(_paragraph(result) for result in results)


def transposition_legend() -> str:
    """What the transposition tables mean."""
    return "\n".join(
        (
            "The voice moved by so many semitones; then how far the band of the same seeds moved, by chroma per second",
            "(and of the whole): * is right. A band that hears nothing of the voice gets 0 of 6 if it stays as it is,",
            "0.5 of 6 if it moves at random. Where the voice through the codec gets few right, the codec keeps too",
            "little of the pitch for a band to follow. margin: correlation at the right turn less the mean of the",
            "wrong ones; it grows with the seeds. shuffled: how many would be right had each band been given another",
            "shift.",
        )
    )


def drift_table(results: Sequence[Drift]) -> str:
    """A table per measure: a line per length and case, a column per window, and the slope."""
    parts = []
    for minutes, same in groupby(results, key=lambda drift: drift.minutes):
        drifts = list(same)
        width = max(len(drift.name) for drift in drifts)
        starts = "".join(f"{start_s:.0f} s".rjust(_WIDTH) for start_s, _ in drifts[0].spans_s)
        for measure in MEASURES:
            lines = [f"{measure.name} from, {minutes:g} min".ljust(width + 2) + starts + "   per minute, 95 %"]
            lines += [drift.name.ljust(width + 2) + _line(drift, measure.name) for drift in drifts]
            parts.append("\n".join(lines))
    return "\n".join(parts)


def drift_legend() -> str:
    """What is measured in every window."""
    return "\n".join(f"{measure.name.ljust(_WIDTH)} {measure.meaning}" for measure in MEASURES)


def _paragraph(result: Transposition) -> str:
    kinds = (result.band, *result.controls)
    width = max(len(kind.name) for kind in kinds)
    shifts = "".join(f"{shift.semitones:+d}".rjust(_WIDTH + 3) for shift in result.band.shifts)
    head = f"{result.voice}, {result.case}, {result.seeds} seeds"
    lines = [" " * width + shifts + "  right, per second    margin  shuffled  (of the whole)"]
    return "\n".join([head, *lines, *(kind.name.ljust(width) + _followed(kind) for kind in kinds)])


def _followed(kind: Followed) -> str:
    cells = []
    for shift in kind.shifts:
        marked = [
            f"{shift.best(backend):+d}{'*' if shift.right(backend) else ''}"
            for backend in (Pooling.SPANS, Pooling.WHOLE)
        ]
        cells.append(f"{marked[0]} ({marked[1]})".rjust(_WIDTH + 3))
    spans, whole = Pooling.SPANS, Pooling.WHOLE
    count = len(kind.shifts)
    return (
        "".join(cells)
        + f"{kind.right(spans)} of {count}".rjust(19)
        + f"{kind.margin(spans):+.3f}".rjust(10)
        + f"{kind.shuffled_right(spans):.1f}".rjust(10)
        + f"  ({kind.right(whole)} of {count}, {kind.margin(whole):+.3f}, {kind.shuffled_right(whole):.1f})"
    )


def _line(drift: Drift, measure: str) -> str:
    places, slope = _PLACES[measure], drift.slope(measure)
    cells = "".join(_cell(summary, places) for summary in drift.at(measure))
    if slope is None:
        return cells + "   -"
    reach = "" if slope.half_width is None else f" ± {slope.half_width:.{places + 1}f}"
    return f"{cells}   {slope.per_minute:+.{places + 1}f}{reach}"


def _cell(summary: Summary | None, places: int) -> str:
    return ("-" if summary is None else f"{summary.mean:.{places}f}").rjust(_WIDTH)
