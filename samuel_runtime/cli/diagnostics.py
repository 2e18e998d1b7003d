"""`--diagnostics`: what happened inside a run, as pictures and numbers (extra `plots`)."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path

import numpy as np

from samuel_runtime.audio.reading import AudioFile, Recording, resampled
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.cli.render import RenderResult
from samuel_runtime.errors import UserError
from samuel_runtime.files import is_folder, replacing
from samuel_runtime.leadsheet.text import page_of
from samuel_runtime.progress import OnProgress, Progress, Step, StepStatistics

SPECTROGRAMS = "spectrograms.png"
"""Voice, band and mix, in the folder of a take."""

_SHOWN_S = 120  # of a long song; a picture shows no more, and memory stays bounded


def check_diagnostics(folder: Path) -> None:
    """Say at once, not after the run, if pictures cannot be drawn or written.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be made or written to.
    """
    if find_spec("matplotlib") is None:
        raise UserError("--diagnostics needs matplotlib; add it with `pip install 'samuel-deploy[plots]'`")
    above = next((one for one in (folder, *folder.parents) if is_folder(one) or one.is_file()), Path())
    if not is_folder(above) or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be made or written to; choose another --diagnostics")


class Diagnostics:
    """A progress callable that collects a take's steps and writes them out, and passes every event on to another."""

    def __init__(self, folder: Path, manifest: Manifest, inner: OnProgress) -> None:
        """Write below ``folder``, one folder per take."""
        self._folder, self._manifest, self._inner = folder, manifest, inner
        self._statistics: list[StepStatistics] = []
        self._way: list[np.ndarray] = []
        self._taken: set[str] = set()  # names of folders, in lower case as some file systems have it

    def __call__(self, progress: Progress) -> None:
        """Note the step, if it is one, and pass on."""
        if progress.step is not None:
            self._note(progress.step)
        self._inner(progress)

    def _note(self, step: Step) -> None:
        """Keep the step's statistics, and the first window's latents for the animation."""
        x = step.latents
        values = (float(x.mean()), float(x.std()), float(x.min()), float(x.max()))
        self._statistics.append(StepStatistics(step.window, step.index, step.timestep, *values))
        if step.window == 0:
            self._way.append(x.astype(np.float16))

    def write(self, result: RenderResult) -> Path:
        """Draw what was collected for this take and begin anew; returns the take's folder.

        Raises:
            UserError: the folder cannot be written to.
        """
        from samuel_runtime.cli import plots  # matplotlib takes a second to load

        folder = self._folder / self._name(result.take.accompaniment.stem)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another --diagnostics") from error
        recordings: dict[str, Recording] = {
            "voice": result.take.voice,
            "band": AudioFile.open(result.take.accompaniment),
        }
        if result.take.mix is not None:
            recordings["mix"] = AudioFile.open(result.take.mix)
        rate = self._manifest.codec.sample_rate_hz
        with replacing(folder / SPECTROGRAMS) as path:
            waveforms = {name: _mono(one, rate) for name, one in recordings.items()}
            plots.spectrograms(path, waveforms, rate, {"band": result.sheet})
        if not result.sheet.is_empty:
            with replacing(folder / "lead_sheet.txt") as path:
                path.write_text(page_of(result.sheet))
        with replacing(folder / "sampling.png") as path:
            plots.sampling(path, self._statistics)
        with replacing(folder / "latents.gif") as path:
            plots.latents_animation(path, self._way, [one.timestep for one in self._statistics])
        with replacing(folder / "run.json") as path:
            steps = [vars(one) for one in self._statistics]
            path.write_text(json.dumps({**result.to_dict(), "steps_statistics": steps}, indent=1) + "\n")
        self._statistics, self._way = [], []
        return folder

    def _name(self, stem: str) -> str:
        """For a take's folder: its own, also where takes of equal names lie in different folders."""
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        name = next(name for name in names if name.lower() not in self._taken)
        self._taken.add(name.lower())
        return name


def _mono(recording: Recording, sample_rate_hz: int) -> np.ndarray:
    parts, wanted = [], _SHOWN_S * sample_rate_hz
    for block in resampled(recording, sample_rate_hz, 1):
        parts.append(block[:, 0])
        wanted -= len(block)
        if wanted <= 0:
            break
    return np.concatenate(parts)
