"""One page: every metric over the number of steps, between the ceiling and the floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samuel_runtime.files import replacing
from samuel_train.evaluate.rows import Kind, Row

_PANELS = {
    "key": "key",
    "harmony": "harmony: correlation with the band",
    "chords": "harmony: correlation with the chords",
    "beat": "beat: F-measure",
    "tempo": "tempo: share within 4 %",
    "sound": "sound: Fréchet distance",
    "level": "loudness against the true band, dB",
    "width": "stereo width: side's share of power",
}
_CONTROLS = {Kind.CODEC: ("tab:green", "--"), Kind.OTHER: ("tab:red", ":")}


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Write :func:`page` as PNG.

    Raises:
        UserError: the file cannot be written.
    """
    figure = page(rows)
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def page(rows: Sequence[Row]) -> Figure:
    """A panel per metric: a line per sampler and guidance with standard errors, and a level line per control."""
    figure = Figure(figsize=(16, 8), layout="constrained")
    panels = figure.subplots(2, len(_PANELS) // 2).flat
    for axes, (metric, title) in zip(panels, _PANELS.items(), strict=True):
        _panel(axes, metric, rows)
        axes.set(title=title)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _panel(axes: Axes, metric: str, rows: Sequence[Row]) -> None:
    lines: dict[str, list[tuple[int, float, float]]] = {}
    for row in rows:
        summary = row.summary(metric)
        if summary is None:
            continue
        if row.case is not None:
            label = f"{row.case.sampler.value}, guidance {row.case.guidance:g}"
            lines.setdefault(label, []).append((row.case.steps, summary.mean, summary.standard_error))
        elif row.kind in _CONTROLS:
            colour, style = _CONTROLS[row.kind]
            axes.axhline(summary.mean, color=colour, linestyle=style, label=row.kind.value)
    for label, points in lines.items():
        steps, means, errors = zip(*points, strict=True)
        axes.errorbar(steps, means, errors, marker="o", markersize=4, capsize=2, linewidth=1, label=label)
    counts = sorted({row.case.steps for row in rows if row.case is not None})
    axes.set(xlabel="steps", xscale="log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
