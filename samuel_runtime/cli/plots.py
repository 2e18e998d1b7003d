"""Pictures of a run, drawn with matplotlib (extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samuel_runtime.leadsheet.chords import symbol
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.progress import StepStatistics

_FFT_SAMPLES, _HOP_SAMPLES = 2048, 1024
_RANGE_DB = 90.0
_NAMES_MOST = 60  # beside each other
_COLUMNS = 1600  # a picture has no more pixels; more frames are averaged


def spectrograms(
    path: Path,
    waveforms: dict[str, np.ndarray],
    sample_rate_hz: int,
    sheets: Mapping[str, LeadSheet] | None = None,
) -> None:
    """Stacked spectrograms, one per named mono waveform, on one time axis and one colour scale.

    Args:
        path: of the picture.
        waveforms: by name.
        sample_rate_hz: of all of them.
        sheets: lead sheets by the waveform above which their beats, bars and chords are drawn.
    """
    figure = Figure(figsize=(11, 2.6 * len(waveforms)), layout="constrained")
    rows = figure.subplots(len(waveforms), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, waveform) in zip(rows, waveforms.items(), strict=True):
        image = axes.imshow(
            _spectrogram_db(waveform),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=-_RANGE_DB,
            vmax=0,
            extent=(0, len(waveform) / sample_rate_hz, 0, sample_rate_hz / 2000),
        )
        axes.set(ylabel=f"{name}\nkHz", ylim=(0, min(16, sample_rate_hz / 2000)))
        if sheets and name in sheets:
            _draw_sheet(axes, sheets[name], len(waveform) / sample_rate_hz)
    rows[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(rows), label="dB of full scale")
    figure.savefig(path, dpi=110)


def _draw_sheet(axes: Axes, sheet: LeadSheet, shown_s: float) -> None:
    """Ticks above the picture at beats, longer ones at bars, and the chords' names where they begin."""
    for times_s, height in ((sheet.beats_s, 0.03), (sheet.downbeats_s, 0.09)):
        shown = [time_s for time_s in times_s if time_s <= shown_s]
        above = axes.get_xaxis_transform()  # seconds across, the picture's height up
        axes.vlines(shown, 1, 1 + height, transform=above, color="black", linewidth=0.6, clip_on=False)
    # Names that would lie on each other are left out, as in a song of many minutes.
    free_s = 0.0
    for chord in sheet.chords:
        if free_s <= chord.start_s <= shown_s:
            axes.annotate(
                symbol(chord.name), (chord.start_s, 1.1), xycoords=axes.get_xaxis_transform(), fontsize=7,
                annotation_clip=False,
            )  # fmt: skip
            free_s = chord.start_s + shown_s / _NAMES_MOST


def sampling(path: Path, steps: Sequence[StepStatistics]) -> None:
    """Mean, spread and extremes of the latents after every step, all windows in a row."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    x = np.arange(1, len(steps) + 1)
    axes.fill_between(x, [s.smallest for s in steps], [s.largest for s in steps], alpha=0.15, label="extremes")
    axes.plot(x, [s.mean for s in steps], label="mean")
    axes.plot(x, [s.std for s in steps], label="standard deviation")
    axes.axhline(1, color="grey", linewidth=0.5)
    axes.set(xlabel="step", ylabel="normalised latents", title="Sampling")
    axes.legend()
    figure.savefig(path, dpi=110)


def latents_animation(path: Path, backend: Sequence[np.ndarray], timesteps: Sequence[int]) -> None:
    """The first window's latents on their way from noise, a GIF with a frame per step."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        backend[0].astype(np.float32), aspect="auto", cmap="RdBu", vmin=-3, vmax=3, interpolation="nearest"
    )
    axes.set(xlabel="frame", ylabel="channel")

    def draw(index: int) -> list[Artist]:
        image.set_data(backend[index].astype(np.float32))
        axes.set_title(f"after step {index + 1} of {len(backend)} (timestep {timesteps[index]})")
        return [image]

    shown = np.unique(np.linspace(0, len(backend) - 1, min(len(backend), 50)).round().astype(int))
    FuncAnimation(figure, draw, frames=shown.tolist()).save(path, writer=PillowWriter(fps=8), dpi=80)


def _spectrogram_db(waveform: np.ndarray) -> np.ndarray:
    """(bins, columns) power in dB of full scale, Hann window."""
    padded = np.pad(waveform, (_FFT_SAMPLES // 2, _FFT_SAMPLES // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT_SAMPLES)[::_HOP_SAMPLES]
    window = np.hanning(_FFT_SAMPLES)
    group = -(-len(frames) // _COLUMNS)
    columns = [
        np.mean(np.abs(np.fft.rfft(frames[i : i + group] * window)) ** 2, axis=0) for i in range(0, len(frames), group)
    ]
    return 10 * np.log10(np.stack(columns, axis=1) / (window.sum() / 2) ** 2 + 1e-12)
