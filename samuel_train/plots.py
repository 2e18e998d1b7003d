"""Pictures of a run, drawn from its metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samuel_runtime.files import replacing
from samuel_train.metrics import Line, read_metrics
from samuel_train.validation import BUCKETS, CONDITIONS


def draw_plots(folder: Path) -> None:
    """Write losses.png, buckets.png and sampling.png in the folder of a run that has been validated."""
    lines = read_metrics(folder / "metrics.jsonl")
    training = [line for line in lines if "loss" in line]
    validation = [line for line in lines if "validation" in line]
    _save(folder / "losses.png", lambda axes: _losses(axes, training, validation))
    _save(folder / "buckets.png", lambda axes: _buckets(axes, validation))
    _save(folder / "sampling.png", lambda axes: _sampling(axes, validation))


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
