"""Annotations of a song, frame by frame: the targets of the auxiliary loss.

Channels: the beat and the downbeat, each 1 in its frame and a half in the two beside it; the twelve pitch classes of
the chord that sounds, C first; and its root among twelve.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chords import Chord as SheetChord
from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.raster import rasterised
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter
from samuel_train.data.stems import SongFolder
from samuel_train.synth.compose.theory import NO_CHORD, Chord
from samuel_train.synth.facts import SongFacts

FACTS_FILE = "song.json"
"""As ``samuel-train synthesize`` writes it, beside the stems."""
CHANNELS = 26
_BEAT, _DOWNBEAT, _TONES, _ROOT = 0, 1, 2, 14
_BESIDE = 0.5


def written_music(song: SongFolder) -> SongFacts | None:
    """The facts beside a song's stems; None if there are none.

    Raises:
        UserError: the file holds no facts as ``samuel-train synthesize`` writes them.
    """
    path = song.folder / FACTS_FILE
    if not path.exists():
        return None
    try:
        facts = SongFacts.from_dict(json.loads(path.read_text(encoding="utf-8"))["facts"])
        for _, name in facts.chords:
            Chord.from_name(name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"{path}: not the facts of a song ({type(error).__name__}: {error}); "
            "remove it, or render the song again with `samuel-train synthesize`"
        ) from error
    return facts


def music_frames(facts: SongFacts, frames: int, frame_s: float, semitones: int = 0) -> np.ndarray:
    """(CHANNELS, frames) float16 of a song, played faster or slower by so many semitones.

    Args:
        facts: of the song as it was written.
        frames: how many.
        frame_s: length of a frame; the first begins with the song.
        semitones: pitch moves up by as many, and time is shorter by 2^(semitones / 12).
    """
    frame_s = frame_s * 2 ** (semitones / 12)  # in the time of the song as it was written
    music = np.zeros((CHANNELS, frames), np.float16)
    for channel, times_s in ((_BEAT, facts.beats_s), (_DOWNBEAT, facts.downbeats_s)):
        mark(music[channel], np.floor(np.array(times_s) / frame_s).astype(int))
    starts_s = [start_s for start_s, _ in facts.chords]
    sounding = np.searchsorted(starts_s, (np.arange(frames) + 0.5) * frame_s, side="right") - 1
    for index, (_, name) in enumerate(facts.chords):
        chord = Chord.from_name(name)
        here = sounding == index
        if chord == NO_CHORD:
            continue
        for pitch_class in chord.pitch_classes:
            music[_TONES + (pitch_class + semitones) % 12, here] = 1
        music[_ROOT + (chord.root + semitones) % 12, here] = 1
    return music


def sheet_frames(facts: SongFacts, frames: int, frame_s: float, semitones: int = 0) -> np.ndarray:
    """(34, frames) float16 of a song's lead sheet, see samuel_runtime/leadsheet/raster.py; arguments as above."""
    return rasterised(lead_sheet(facts, frames * frame_s, semitones), frames, frame_s).astype(np.float16)


def lead_sheet(facts: SongFacts, duration_s: float, semitones: int = 0) -> LeadSheet:
    """The lead sheet of a song as it was written, played faster or slower by so many semitones."""
    speed = 2 ** (semitones / 12)

    def played(times_s: Sequence[float]) -> tuple[float, ...]:
        return tuple(time_s / speed for time_s in times_s if time_s / speed <= duration_s)

    chords = []
    for start_s, name in facts.chords:
        chord = SheetChord.parse(name)
        root, bass = (None if tone is None else (tone + semitones) % 12 for tone in (chord.root, chord.bass))
        chords.append(ChordSpan(start_s / speed, replace(chord, root=root, bass=bass).named()))
    key = Key(cast(int, SheetChord.parse(facts.tonic).root) + semitones, minor=facts.mode == "minor")
    return LeadSheet(
        duration_s=duration_s,
        meter=Meter(facts.meter),
        key=str(key),
        beats_s=played(facts.beats_s),
        downbeats_s=played(facts.bars_s),
        chords=tuple(chord for chord in chords if chord.start_s <= duration_s),
    )


def mark(channel: np.ndarray, at: Sequence[int] | np.ndarray) -> None:
    """Write 1 into these frames of a channel (frames,), and a half into those beside them."""
    for offset, value in ((-1, _BESIDE), (1, _BESIDE), (0, 1.0)):
        near = np.asarray(at) + offset
        channel[near[(near >= 0) & (near < len(channel))]] = value
