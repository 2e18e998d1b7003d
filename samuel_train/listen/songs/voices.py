"""Recorded or rendered voices whose music is known, as the tracker hears them; each is analysed once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.errors import UserError
from samuel_runtime.files import cache_file, replacing
from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.melody import MelodyTracks
from samuel_runtime.melody.tracker import TRACKER_VERSION, MelodyTracker
from samuel_train.data.annotations import written_music
from samuel_train.data.stems import SongFolder, find_songs
from samuel_train.listen.songs.sung_sheet import Warp, sheet_of, warped_sheet

_NAMES = tuple(field.name for field in fields(MelodyTracks))


@dataclass(frozen=True, eq=False)
class HeardVoice:
    """A voice and its music."""

    name: str
    tracks: MelodyTracks
    sheet: LeadSheet
    take: str
    """``words``, ``la-la``, ``hum`` or ``whistle``."""


def hear_voices(roots: Sequence[Path], say: Callable[[str], None]) -> list[HeardVoice]:
    """The voices below these folders that have a ``song.json``, in the order of their names.

    Args:
        roots: laid out as ``samuel-train synthesize`` writes them.
        say: receives a line for each song that is left out.

    Raises:
        UserError: a folder holds no song, a file is damaged, no song has its music, or the tracker is not installed.
    """
    known = []
    for root in roots:
        songs, skipped = find_songs(root)
        for skip in skipped:
            say(f"skipped {skip.song}: {skip.reason}")
        known += [(song, facts) for song in songs if (facts := written_music(song)) is not None]
    if roots and not known:
        raise UserError(f"{roots[0]}: no voice has a song.json; make some with `samuel-train synthesize`")
    hearing = _Hearing()
    voices = []
    for song, facts in tqdm(known, desc="hearing voices", unit="voice", disable=None):
        tracks = hearing.tracks(song)
        voices.append(HeardVoice(song.name, tracks, sheet_of(facts, tracks.frames * FRAME_S), facts.take))
    return voices


def warped_voice(voice: HeardVoice, warp: Warp) -> tuple[MelodyTracks, LeadSheet]:
    """The voice as if it had been sung in another tempo, at its own pitch."""
    sheet = warped_sheet(voice.sheet, warp)
    frames = int(np.ceil(sheet.duration_s / FRAME_S))
    origin = warp.origin_s((np.arange(frames) + 0.5) * FRAME_S) / FRAME_S - 0.5
    at = np.arange(voice.tracks.frames)
    curves = {name: np.interp(origin, at, getattr(voice.tracks, name)) for name in _NAMES}
    nearest = np.clip(np.round(origin).astype(int), 0, voice.tracks.frames - 1)
    curves["f0_hz"] = voice.tracks.f0_hz[nearest]  # between octaves lies no pitch
    return MelodyTracks(**curves), sheet


class _Hearing:
    """The tracker, loaded when a voice is new, and what it heard before."""

    def __init__(self) -> None:
        self._tracker: MelodyTracker | None = None

    def tracks(self, song: SongFolder) -> MelodyTracks:
        status = song.vocals.stat()
        identity = f"{TRACKER_VERSION}\n{song.vocals.resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
        name = f"melody-{hashlib.sha256(identity.encode()).hexdigest()[:24]}.npz"
        if (kept := _kept(name)) is not None:
            return kept
        if self._tracker is None:
            self._tracker = MelodyTracker.load()
        tracks = self._tracker.track(AudioFile.open(song.vocals))
        _keep(name, tracks)
        return tracks


def _kept(name: str) -> MelodyTracks | None:
    """What was kept; None if nothing is, or it cannot be read: then the voice is heard again."""
    try:
        with np.load(cache_file(name)) as file:
            return MelodyTracks(**{name: file[name] for name in _NAMES})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _keep(name: str, tracks: MelodyTracks) -> None:
    """That it cannot be kept costs time, nothing else."""
    values: dict[str, Any] = {name: getattr(tracks, name) for name in _NAMES}
    try:
        path = cache_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            np.savez(temporary, **values)
    except (OSError, UserError):
        return
