"""One page: every metric between the ceiling and the floor, moved voices, and windows of long songs."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samuel_runtime.files import replacing
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.report.panels import WINDOW_PANELS, transposition_panel, window_panel
from samuel_train.evaluate.report.report import Results
from samuel_train.evaluate.report.rows import Kind, Row

_PANELS = {
    "key": "key",
    "tones": "tones: share in the key or its relative",
    "harmony": "harmony: correlation with the band",
    "chords": "harmony: correlation with the chords",
    "beat": "beat: F-measure",
    "tempo": "tempo: share within 4 %",
    "onsets": "onsets: correlation with the voice's",
    "sound": "sound: Fréchet distance",
    "level": "loudness against the true band, dB",
    "width": "stereo width: side's share of power",
}
_CONTROLS = {Kind.CODEC: ("tab:green", "--"), Kind.OTHER: ("tab:red", ":")}
_COLUMNS = 6
_PANEL_INCHES = (3.6, 3.8)
_DOTS_PER_INCH = 100


def draw(path: Path, results: Results) -> bytes:
    """Write :func:`page` as PNG; its bytes are also returned.

    Raises:
        UserError: the file cannot be written.
    """
    figure = page(results)
    FigureCanvasAgg(figure)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=_DOTS_PER_INCH, format="png")
    with replacing(path) as temporary:
        temporary.write_bytes(picture.getvalue())
    return picture.getvalue()


def page(results: Results) -> Figure:
    """A panel per metric, and those of the voices that were moved and of the long songs where there are any."""
    extra = bool(results.transpositions) + (len(WINDOW_PANELS) if results.drifts else 0)
    lines = -(-(len(_PANELS) + extra) // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _PANEL_INCHES[0], lines * _PANEL_INCHES[1]), layout="constrained")
    panels = iter(figure.subplots(lines, _COLUMNS).flat)
    for metric, title in _PANELS.items():
        axes = next(panels)
        _panel(axes, metric, results.rows)
        axes.set(title=title)
    if results.transpositions:
        transposition_panel(next(panels), results.transpositions)
    if results.drifts:
        for measure in WINDOW_PANELS:
            window_panel(next(panels), measure, results.drifts)
    for axes in panels:
        axes.remove()
    for axes in figure.axes:
        axes.title.set_fontsize("medium")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _panel(axes: Axes, metric: str, rows: list[Row]) -> None:
    """A line with standard errors over steps, or over guidance if there are more of those; a level per control."""
    cases = [row.case for row in rows if row.case is not None]
    over_guidance = len({case.guidance for case in cases}) > len({case.steps for case in cases})
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        summary = row.summary(metric)
        if summary is None:
            continue
        if row.case is not None:
            label, x = _placed(row.case, over_guidance)
            lines.setdefault(label, []).append((x, summary.mean, summary.standard_error))
        elif row.kind in _CONTROLS:
            colour, style = _CONTROLS[row.kind]
            axes.axhline(summary.mean, color=colour, linestyle=style, label=row.kind.value)
    for label, points in lines.items():
        xs, means, errors = zip(*sorted(points), strict=True)
        axes.errorbar(xs, means, errors, marker="o", markersize=4, capsize=2, linewidth=1, label=label)
    if over_guidance:
        axes.set(xlabel="guidance")
        return
    counts = sorted({case.steps for case in cases})
    axes.set(xlabel="steps", xscale="log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()


def _placed(case: Case, over_guidance: bool) -> tuple[str, float]:
    """The line that a case belongs to, and where on it."""
    if over_guidance:
        return f"{case.sampler.value}, {case.steps} steps", case.guidance
    return f"{case.sampler.value}, guidance {case.guidance:g}", case.steps
