"""Panels of the picture for what is not a metric over steps: moved voices, and windows of long songs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from samuel_train.evaluate.studies.drift import Drift
from samuel_train.evaluate.studies.transposition import Followed, Pooling, Transposition

AWAY = np.arange(-5, 7)
WINDOW_PANELS = {
    "key": "key by window",
    "harmony": "harmony by window",
    "home": "mean chroma against the first window's",
    "tempo": "tempo by window, % off",
    "click": "attacks after the beats by window, ms",
    "level": "loudness by window, dB",
}
_MARKERS = {2.0: "o", 4.0: "s"}


def transposition_panel(axes: Axes, results: Sequence[Transposition]) -> None:
    """Correlation by distance from the right turn, averaged over voices: a peak at 0 is a band that follows."""
    cases = dict.fromkeys(result.case for result in results)
    for case in cases:
        _curve(axes, [one.band for one in results if one.case == case], f"band: {case}", marker="o", markersize=4)
    for index, control in enumerate(results[0].controls):
        same = [one.controls[index] for one in results if one.case == results[0].case]
        _curve(axes, same, control.name, color="tab:green", linestyle=("-", "--")[index % 2], linewidth=1)
    axes.axvline(0, color="grey", linewidth=0.7)
    axes.set(title="voice moved: does the band move along?", xlabel="semitones from the right turn")
    axes.set_xticks(AWAY)
    _legend(axes)


def window_panel(axes: Axes, measure: str, results: Sequence[Drift]) -> None:
    """A measure in every window, with standard errors; a line per length and case, the true bands in green."""
    for drift in results:
        there = [(x, s) for x, s in zip(drift.centres_min, drift.at(measure), strict=True) if s is not None]
        if not there:
            continue
        minutes, summaries = zip(*there, strict=True)
        axes.errorbar(
            minutes,
            [summary.mean for summary in summaries],
            [summary.standard_error for summary in summaries],
            marker=_MARKERS.get(drift.minutes, "^"),
            markersize=4,
            capsize=2,
            linewidth=1,
            color="tab:green" if drift.case is None else None,
            linestyle="--" if drift.case is None else "-",
            label=drift.name,
        )
    axes.set(title=WINDOW_PANELS[measure], xlabel="middle of the window, minutes")
    if measure == next(iter(WINDOW_PANELS)):
        _legend(axes)


def _legend(axes: Axes) -> None:
    """A legend in room of its own above the lines."""
    bottom, top = axes.get_ylim()
    lines = len(axes.get_legend_handles_labels()[1])
    axes.set_ylim(bottom, top + (0.06 + 0.06 * lines) * (top - bottom))
    axes.legend(fontsize="x-small", loc="upper center")


def _curve(axes: Axes, followed: Sequence[Followed], label: str, **style: object) -> None:
    shifts = len(followed[0].shifts)
    right = sum(one.right(Pooling.SPANS) for one in followed)
    mean = np.mean([one.around(Pooling.SPANS) for one in followed], axis=0)
    axes.plot(AWAY, mean, label=f"{label}, {right} of {shifts * len(followed)}", **style)  # type: ignore[arg-type]
