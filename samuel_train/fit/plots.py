"""Pictures of a run, drawn from its metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samuel_runtime.files import replacing
from samuel_train.fit.metrics_log import Line, read_metrics
from samuel_train.fit.validation import BUCKETS, CONDITIONS

_STRETCHES = 200
"""Points of a curve; what lies between is averaged, for losses of a step differ much by its crops."""


def draw_plots(folder: Path) -> None:
    """Write losses.png, buckets.png and sampling.png in the folder of a run that has been validated."""
    lines = read_metrics(folder / "metrics.jsonl")
    training = [line for line in lines if "loss" in line]
    validation = [line for line in lines if "validation" in line]
    _save(folder / "losses.png", lambda axes: _losses(axes, training, validation))
    _save(folder / "buckets.png", lambda axes: _buckets(axes, validation))
    _save(folder / "sampling.png", lambda axes: _sampling(axes, validation))


def draw_codec_plot(folder: Path) -> None:
    """Write losses.png in the folder of a codec that was trained."""
    lines = read_metrics(folder / "metrics.jsonl")
    if lines:
        _save(folder / "losses.png", lambda axes: _codec_losses(axes, lines))


def _codec_losses(axes: Axes, lines: list[Line]) -> None:
    """The log-mel distance and, in the adversarial stage, the discriminators' losses."""
    named = {"levels": "levels", "partials": "partials", "deviations": "deviations", "log_mel": "log-mel distance",
             "told_apart": "discriminators", "features": "features"}  # fmt: skip
    for key, label in named.items():
        points = np.array([(line["step"], line[key]) for line in lines if key in line])
        if len(points):
            stretches = np.array_split(points, min(len(points), _STRETCHES))
            axes.plot(*np.array([stretch.mean(axis=0) for stretch in stretches]).T, label=label)
    axes.set(xlabel="step", ylabel="training loss", yscale="log")


def _losses(axes: Axes, training: list[Line], validation: list[Line]) -> None:
    axes.plot([x["step"] for x in training], [x["loss"] for x in training], lw=0.7, label="training")
    axes.plot([x["step"] for x in validation], [x["validation"]["loss"] for x in validation], label="validation (EMA)")
    axes.set(xlabel="step", ylabel="weighted loss", yscale="log")


def _buckets(axes: Axes, validation: list[Line]) -> None:
    """The error by timestep, of the last validation: the gap between the lines is what the voice tells."""
    for name in CONDITIONS:
        axes.plot(range(1, BUCKETS + 1), validation[-1]["validation"][name], marker="o", label=f"{name} vocals")
    axes.set(xlabel="timesteps, from clean to noisy, in eighths", ylabel="mean squared error", yscale="log")


def _sampling(axes: Axes, validation: list[Line]) -> None:
    for name in ("mean", "std"):
        values = validation[-1]["sampling"][name]
        axes.plot(range(1, len(values) + 1), values, marker="o", label=name)
    axes.axhline(0, color="grey", lw=0.5)
    axes.axhline(1, color="grey", lw=0.5)
    axes.set(xlabel="sampling step", ylabel="latents, normalised")


def _save(path: Path, draw: Callable[[Axes], None]) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
