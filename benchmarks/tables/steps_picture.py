"""The study of steps as a picture: how far from the limit, over the number of steps and the time they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samuel_runtime.files import replacing

_PANELS = {
    "distance": "latents: relative L2 distance from the many-step limit",
    "log_mel": "audio: log-mel distance from the many-step limit",
}
_LINES = {
    ("ddim", "early"): ("tab:orange", "-"),
    ("ddim", "trailing"): ("tab:orange", ":"),
    ("dpm++2m", "early"): ("tab:blue", "-"),
    ("dpm++2m", "trailing"): ("tab:blue", ":"),
    ("unipc", "early"): ("tab:green", "-"),
    ("unipc", "trailing"): ("tab:green", ":"),
}
"""What is drawn: (sampler, spacing) -> colour and style."""


def draw(path: Path, study: dict[str, Any], default_steps: int) -> None:
    """Write the picture, PNG whatever the suffix.

    Args:
        path: of the picture.
        study: plain values, as in the JSON file.
        default_steps: marked by a line.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(13, 5), layout="constrained", facecolor="white")  # legible on dark pages too
    FigureCanvasAgg(figure)
    for axes, (measure, title) in zip(figure.subplots(1, 2), _PANELS.items(), strict=True):
        _panel(axes, measure, study, default_steps)
        axes.set_title(title, fontsize=11)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _panel(axes: Axes, measure: str, study: dict[str, Any], default_steps: int) -> None:
    for (sampler, spacing), (colour, style) in _LINES.items():
        rows = [row for row in study["rows"] if (row["sampler"], row["spacing"]) == (sampler, spacing)]
        steps, values = [row["steps"] for row in rows], [row[measure] for row in rows]
        axes.plot(steps, values, style, color=colour, marker="o", markersize=4, label=f"{sampler}, {spacing} timesteps")
    axes.axvline(default_steps, color="grey", linewidth=1, linestyle="--", label=f"default: {default_steps} steps")
    counts = sorted({row["steps"] for row in study["rows"] if row["spacing"] == "early"})
    axes.set(xscale="log", yscale="log", xlabel="steps")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    above = axes.secondary_xaxis("top")
    above.set_xticks(counts, [f"{count * study['step_s']:.2g}" for count in counts], fontsize=8)
    above.minorticks_off()
    above.set_xlabel(f"seconds of sampling for {study['window_s']:.1f} s of audio, guided", fontsize=9)
