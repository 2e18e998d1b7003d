"""Pictures of a run, drawn with matplotlib (extra `plots`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from samuel_runtime.progress import StepStatistics

_FFT_SAMPLES, _HOP_SAMPLES = 2048, 1024
_RANGE_DB = 90.0
_COLUMNS = 1600  # a picture has no more pixels; more frames are averaged


def spectrograms(path: Path, waveforms: dict[str, np.ndarray], sample_rate_hz: int) -> None:
    """Stacked spectrograms, one per named mono waveform, on one time axis and one colour scale."""
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
    rows[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(rows), label="dB of full scale")
    figure.savefig(path, dpi=110)


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
