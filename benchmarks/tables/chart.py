"""The chart of a run: one panel for each question, PyTorch beside the runtime's backends."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tables.claims import LOOP, RUN, STEP
from benchmarks.tables.rows import Results, Row
from samuel_runtime.errors import UserError

_INK, _PAPER, _GRID = "#24292f", "#ffffff", "#d8dee4"  # a card of its own, so that light and dark pages both suit it
_COLOURS = {"PyTorch": "#8c959f", "torch": "#8c959f", "OpenVINO": "#1a7f37", "": "#0969da"}
_HEADING_WIDTH = 46
_STAGES = {"python": "#afb8c1", "start": "#8c959f", "read": "#6e7781", "load": "#bf8700",
           "encode": "#54aeff", "sample": "#0969da", "decode": "#1a7f37", "write": "#8250df",
           "other": "#d8dee4"}  # fmt: skip
_FONT: Any = {"font.family": "DejaVu Sans", "font.size": 9, "text.color": _INK, "axes.labelcolor": _INK,
         "xtick.color": _INK, "ytick.color": _INK, "axes.edgecolor": _GRID}  # fmt: skip


def draw(results: Results, path: Path) -> None:
    """Write the chart; panels whose benchmarks did not run are left out.

    Raises:
        UserError: none of them ran.
    """
    panels = [
        (title, rows, panel)
        for start, panel in _PANELS.items()
        for title, rows in results.groups.items()
        if title.startswith(start)
    ]
    if not panels:
        raise UserError("the results hold nothing to draw; run `make bench`")
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    with matplotlib.rc_context(_FONT):
        figure = Figure(figsize=(6.4 * columns, 2.6 * lines + 0.5), dpi=120, facecolor=_PAPER, layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for axis, (title, rows, panel) in zip(axes, panels, strict=False):
            axis.set_facecolor(_PAPER)
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_title(_heading(title), loc="left", fontsize=9.5, fontweight="bold", color=_INK)
            panel(axis, rows)
        for axis in axes[len(panels) :]:
            axis.axis("off")
        machine = results.machine
        figure.suptitle(
            f"{machine['processor']}, {machine['threads']} threads, {machine['gpu'] or 'no GPU'}; "
            f"float32 matrix peak {results.peak_gflops:.0f} GFLOP/s",
            fontsize=8.5, color=_INK, x=0.01, ha="left",
        )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})


def _bars(axis: Axes, rows: list[Row]) -> None:
    """Time of each runner; on a logarithmic axis where they differ by more than 20."""
    longest, shortest = max(row.seconds for row in rows), min(row.seconds for row in rows)
    scale, unit = (1e3, "ms") if longest < 1 else (1, "s")
    bars = axis.barh(
        [row.runner for row in rows], [scale * row.seconds for row in rows], color=[_colour(row) for row in rows]
    )
    axis.bar_label(bars, labels=[_label(row, scale) for row in rows], padding=3, fontsize=8, color=_INK)
    if longest > 20 * shortest:
        axis.set_xscale("log")
        axis.set_xlim(scale * shortest / 3, scale * longest * 8)
    else:
        axis.set_xlim(0, 1.25 * scale * longest)
    axis.invert_yaxis()
    axis.set_xlabel(unit)


def _stages(axis: Axes, rows: list[Row]) -> None:
    """Where the seconds of a command go; what reports no stages is one bar."""
    drawn: set[str] = set()
    for row in rows:
        left = 0.0
        for stage, seconds in row.facts.get("stages", {}).items():
            label = None if stage in drawn else stage
            axis.barh(row.runner, seconds, left=left, color=_STAGES.get(stage, _GRID), label=label)
            drawn.add(stage)
            left += seconds
        if left == 0.0:
            axis.barh(row.runner, row.seconds, color=_colour(row))
        axis.annotate(f" {_label(row, 1)}", (max(left, row.seconds), row.runner), va="center", fontsize=8)
    axis.set_xlim(0, 1.25 * max(row.seconds for row in rows))
    axis.invert_yaxis()
    axis.set_xlabel("s")
    if drawn:
        axis.legend(fontsize=7, frameon=False, ncols=2, loc="center right")


def _growth(axis: Axes, rows: list[Row]) -> None:
    """Seconds over minutes, each point with its peak memory."""
    minutes, seconds = [row.facts["minutes"] for row in rows], [row.seconds for row in rows]
    axis.plot(minutes, seconds, "o-", color=_COLOURS[""])
    for row in rows:
        text = f"{row.seconds:.1f} s, {row.facts['peak_mb']:.0f} MB"
        axis.annotate(text, (row.facts["minutes"], row.seconds), (6, -10), textcoords="offset points", fontsize=8)
    axis.set_xlim(0, 1.3 * max(minutes))
    axis.set_ylim(0, 1.15 * max(seconds))
    axis.grid(color=_GRID, linewidth=0.6)
    axis.set_xlabel("minutes of song")
    axis.set_ylabel("s")


def _heading(group: str) -> str:
    """A group's name, without what belongs to the table, in lines that fit a panel."""
    return textwrap.fill(group.partition(" (")[0].replace("`", ""), _HEADING_WIDTH)


def _colour(row: Row) -> str:
    return next(colour for start, colour in _COLOURS.items() if start in row.runner)


def _label(row: Row, scale: float) -> str:
    ratios = row.facts.get("ratios", {})
    first = next(iter(ratios.values()), None)
    return f"{scale * row.seconds:.3g}" + (f"  ({first[1]:.3g} x)" if first and first[1] > 1 else "")


_PANELS: dict[str, Callable[[Axes, list[Row]], None]] = {
    STEP: _bars,
    LOOP: _bars,
    "Decoding": _bars,
    RUN: _stages,
    "`samuel-run` by song length": _growth,
    "Cold start": _bars,
}
"""Beginnings of groups' names, in the chart's order; what is not here is in the table alone."""
