"""Held-out songs: the two stems, and what is written about the music in ``song.json`` beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mir_eval
import numpy as np

from samuel_runtime.errors import UserError
from samuel_train.data.annotations import FACTS_FILE, written_music
from samuel_train.data.stems import Skipped, SongFolder, find_songs, read_song
from samuel_train.synth.facts import SongFacts

_LEAST_S = 2.0


@dataclass(frozen=True, eq=False)
class Stems:
    """The recordings of a song."""

    vocals: np.ndarray
    """(samples, channels) float32."""
    accompaniment: np.ndarray
    """(samples, channels) float32."""


def held_out(root: Path, most: int | None) -> tuple[list[SongFolder], list[Skipped]]:
    """The songs below ``root``, the first ``most`` by name, and those that are incomplete.

    Raises:
        UserError: there are fewer than two, since one song's band is the other's control.
    """
    songs, skipped = find_songs(root)
    songs = songs[:most]
    if len(songs) < 2:
        raise UserError(
            f"{root}: {len(songs)} song to evaluate, at least two are needed, as the band of one is the control of "
            f"another; make some with `samuel-train synthesize -o {root} --songs 24 --seed 7777`"
        )
    return songs, skipped


def read_stems(song: SongFolder, sample_rate_hz: int, channels: int) -> Stems:
    """Both stems at the codec's rate and channel count.

    Raises:
        UserError: a file is no whole recording, the stems differ in length, or last less than two seconds.
    """
    samples, blocks = read_song(song, sample_rate_hz, channels)
    if samples < _LEAST_S * sample_rate_hz:
        raise UserError(f"{song.vocals}: lasts less than {_LEAST_S:g} s; leave this song out")
    vocals, accompaniment = np.concatenate(list(blocks), axis=2)  # (2, channels, samples)
    return Stems(np.ascontiguousarray(vocals.T), np.ascontiguousarray(accompaniment.T))


def read_facts(song: SongFolder) -> SongFacts | None:
    """What is written about a song, or None if nothing is: then its true band is analysed instead.

    Raises:
        UserError: the file cannot be read or does not hold facts as ``samuel-train synthesize`` writes them.
    """
    facts = written_music(song)
    if facts is None:
        return None
    try:
        for problem in _problems(facts):
            raise ValueError(problem)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{song.folder / FACTS_FILE}: not the facts of a song ({type(error).__name__}: {error}); "
            "remove it, or render the song again with `samuel-train synthesize`"
        ) from error
    return facts


def key_name(facts: SongFacts) -> str:
    """The written key, such as ``Eb minor``."""
    return f"{facts.tonic} {facts.mode}"


def _problems(facts: SongFacts) -> Iterator[str]:
    """What of the facts the metrics cannot use.

    Raises:
        ValueError: in mir_eval's own words.
    """
    mir_eval.key.validate_key(key_name(facts))
    if not facts.tempo_bpm > 0:
        yield "tempo_bpm must be positive"
    for name, times in (("beats_s", facts.beats_s), ("chords", [start_s for start_s, _ in facts.chords])):
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
            yield f"{name} must be finite times in ascending order"
