"""A folder of songs on disk, rendered over the cores; an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing_dir
from samuel_train.device.processors import usable_processors
from samuel_train.synth.scores.musicxml import Score
from samuel_train.synth.scores.sheets import Sheets, digest
from samuel_train.synth.song import render_song
from samuel_train.synth.tools import require
from samuel_train.synth.voice.singer import FREEST

GENERATOR_VERSION = 4
"""Raised whenever the same seed gives other sound; songs of another version are rendered again."""
MOST_SONGS = 100_000
DURATIONS_S = (5.0, 60.0)
"""Songs of no given length last this long, evenly drawn: as voices do that people bring."""

Progress = Callable[[int, int], None]
"""Called with (songs done, songs in all)."""


def synthesize(
    folder: Path,
    songs: int,
    seed: int = 0,
    duration_s: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    freest: float = FREEST,
    sheets: Sheets | None = None,
) -> list[Path]:
    """Write ``songs`` songs under ``folder`` and return their folders, in order.

    Each is ``song_00000/`` with ``vocals.wav``, ``accompaniment.wav`` (16 bit, stereo, 44.1 kHz) and ``song.json``.
    Song ``i`` depends on ``seed``, ``i``, ``duration_s``, ``freest`` and ``sheets``, from which some or all songs are
    sung, alone; one that is there already is kept.
    Without ``duration_s`` a song's length is drawn from ``DURATIONS_S``; ``freest``, 0 to 1, is how freely singers
    sing at most. The first songs that a speaker sings take seconds longer, for the analysis of the speech.
    ``workers`` processes share the work (default: one a core); with more than one, a script that calls this needs
    the usual ``if __name__ == "__main__"`` guard.

    Raises:
        UserError: for a number out of range, a folder that cannot be written, or one of a song's name that holds
            something else; FluidSynth, its sound font, espeak-ng or pyworld is missing.
    """
    folder = Path(folder)
    if not 1 <= songs <= MOST_SONGS:
        raise UserError(f"songs must be between 1 and {MOST_SONGS}, not {songs}")
    if seed < 0:
        raise UserError(f"the seed must not be negative, not {seed}")
    if not 0 <= freest <= 1:
        raise UserError(f"singers' freedom must lie between 0 and 1, not {freest}")
    if workers is not None and workers < 1:
        raise UserError(f"workers must be at least 1, not {workers}")
    paths = [folder / f"song_{index:05d}" for index in range(songs)]
    tasks = []
    for index, path in enumerate(paths):
        score = sheets.score_of(seed, index) if sheets is not None else None
        tasks.append(_Task(path, _recipe(seed, index, duration_s, freest, score), score))
    missing = [task for task in tasks if not _finished(task.path, task.recipe)]
    for task in missing:
        _refuse_strangers(task.path)
    if missing:
        require()
    done = songs - len(missing)
    if progress:
        progress(done, songs)
    for count, _ in enumerate(_write_all(missing, workers or usable_processors()), start=done + 1):
        if progress:
            progress(count, songs)
    return paths


@dataclass(frozen=True)
class _Task:
    """A song to render."""

    path: Path
    recipe: dict[str, Any]
    score: Score | None


def _recipe(seed: int, index: int, duration_s: float | None, freest: float, score: Score | None) -> dict[str, Any]:
    """What decides a song's bytes."""
    words = np.random.SeedSequence([seed, index]).generate_state(3)
    song_seed = int(words[0]) << 32 | int(words[1])
    if duration_s is None:
        shortest_s, longest_s = DURATIONS_S
        duration_s = round(shortest_s + (longest_s - shortest_s) * int(words[2]) / 2**32, 2)
    recipe = {
        "generator_version": GENERATOR_VERSION,
        "song_seed": song_seed,
        "duration_s": float(duration_s),
        "freest": float(freest),
    }
    return recipe if score is None else recipe | {"score": score.name, "score_digest": digest(score)}


def _finished(path: Path, recipe: dict[str, Any]) -> bool:
    try:
        written = json.loads((path / "song.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    stems = all((path / name).is_file() for name in ("vocals.wav", "accompaniment.wav"))
    return stems and isinstance(written, dict) and written.get("recipe") == recipe


def _refuse_strangers(path: Path) -> None:
    """A folder that this module did not write is never replaced."""
    if path.exists() and not (path / "song.json").is_file():
        raise UserError(f"{path}: holds something else than a rendered song; choose another folder with -o")


def _write_all(tasks: list[_Task], workers: int) -> Iterator[None]:
    workers = min(workers, len(tasks))
    if workers <= 1:
        for task in tasks:
            _write_song(task)
            yield
        return
    # Workers ignore Ctrl-C and finish the song at hand, so that none leaves half a folder behind.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ignore_interrupts) as pool:
        try:
            futures = [pool.submit(_write_song, task) for task in tasks]
            for future in as_completed(futures):
                future.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _write_song(task: _Task) -> None:
    recipe = task.recipe
    song = render_song(recipe["song_seed"], recipe["duration_s"], recipe["freest"], task.score)
    with replacing_dir(task.path) as folder:
        for name, stem in (("vocals", song.vocals), ("accompaniment", song.accompaniment)):
            soundfile.write(folder / f"{name}.wav", stem, song.sample_rate_hz, subtype="PCM_16")
        text = json.dumps({"recipe": recipe, "facts": song.facts.to_dict()}, indent=1)
        (folder / "song.json").write_text(text + "\n", encoding="utf-8")
