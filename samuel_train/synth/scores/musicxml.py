"""Lead sheets in MusicXML: melody, chords and meter as written; songs without chord symbols have their accompaniment's.

Repeats are not played: what is written is read through once, first endings before second ones. Chords keep their
bass; elevenths and thirteenths are read as ninths, and degrees that are added, altered or left out one by one are not.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Container
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from tqdm import tqdm

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet import Meter
from samuel_runtime.leadsheet.chords import Chord, Key, pitch_class
from samuel_train.data.stems import Skipped
from samuel_train.synth.scores.accompaniment import Note, read_chords
from samuel_train.synth.scores.score_files import SUFFIXES, score_files

HELD_OUT = "heldout"
"""Scores in a folder of this name are for evaluation alone."""
REST_QUARTERS = 0.4
"""A rest longer than this ends a phrase."""
LEAST_NOTES = 16
"""Scores with fewer are left out."""
_LEAST_CHORDS = 4
_SAME = 1e-3  # quarters
_METERS = {
    "4/4": (Meter.COMMON, 1.0),
    "2/2": (Meter.COMMON, 1.0),
    "12/8": (Meter.COMMON, 1.5),
    "3/4": (Meter.WALTZ, 1.0),
    "9/8": (Meter.WALTZ, 1.5),
    "6/8": (Meter.SIX_EIGHT, 1.5),
}
"""What a time signature is heard as, and the quarters of its beat. In 2/4 nobody hears them, so it is left out."""
_BPM = {1.0: (60.0, 170.0), 1.5: (45.0, 110.0)}
"""Range of tempi, by the quarters of a beat."""
_KINDS = {
    "none": "N", "major": "maj", "minor": "min", "augmented": "aug", "diminished": "dim", "dominant": "7",
    "major-seventh": "maj7", "minor-seventh": "min7", "diminished-seventh": "dim7", "augmented-seventh": "aug",
    "half-diminished": "hdim7", "major-minor": "minmaj7", "minor-major": "minmaj7", "major-sixth": "maj6",
    "minor-sixth": "min6", "dominant-ninth": "9", "augmented-ninth": "aug", "major-ninth": "maj9",
    "minor-ninth": "min9", "dominant-11th": "9", "major-11th": "maj9", "minor-11th": "min9", "dominant-13th": "9",
    "major-13th": "maj9", "minor-13th": "min9", "suspended-second": "sus2", "suspended-fourth": "sus4", "power": "5",
}  # fmt: skip
"""What MusicXML calls a kind of chord, and Harte's shorthand of it or of what it extends."""


@dataclass(frozen=True)
class Score:
    """A lead sheet in quarters from its first bar line."""

    name: str
    meter: Meter
    beat_quarters: float
    """Quarters of a felt beat: 1.5 in 6/8."""
    key: str | None
    beats: tuple[float, ...]
    downbeats: tuple[float, ...]
    chords: tuple[tuple[float, str], ...]
    """Start and Harte name, from the first written one on."""
    notes: tuple[Note, ...]
    """Start, end and MIDI number, one after the other."""

    @property
    def quarters(self) -> float:
        """To the end of the last note."""
        return self.notes[-1][1]

    @property
    def tempo_bpm(self) -> tuple[float, float]:
        """Slowest and fastest tempo that it may have."""
        return _BPM[self.beat_quarters]


def read_scores(root: Path, held_out: bool = False) -> tuple[list[Score], list[Skipped]]:
    """The scores of a folder or zip archive in the order of their names, and those that cannot be used.

    Args:
        root: holds .mxl, .musicxml and .xml files, in any folders.
        held_out: read those in folders called ``HELD_OUT`` instead of all others.

    Raises:
        UserError: there is no such folder or archive, it holds no score, or partitura is not installed.
    """
    try:
        import partitura
    except ImportError as error:
        raise UserError(
            f"{root}: scores are read by partitura, which is not installed; add it with "
            "`pip install 'samuel-deploy[scores]'`"
        ) from error
    scores, skipped = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # partitura's remarks on untidy scores
        for name, read in tqdm(score_files(root), desc="reading scores", unit="score", disable=None):
            if (HELD_OUT in Path(name).parts[:-1]) is not held_out:
                continue
            try:
                scores.append(_score(name, partitura.load_musicxml(io.BytesIO(_with_kinds(read())))))
            except UserError as error:
                skipped.append(Skipped(name, str(error)))
            # A stranger's score, read by a library that knows the format's corners by raising anything.
            except Exception as error:
                skipped.append(Skipped(name, f"partitura cannot read it ({type(error).__name__}: {error})"))
    if not scores and not skipped:
        where = f"in folders called {HELD_OUT}" if held_out else f"outside folders called {HELD_OUT}"
        raise UserError(
            f"{root}: holds no MusicXML score {where}; give a folder or .zip of {', '.join(SUFFIXES)} files"
        )
    if not scores:
        raise UserError(f"{root}: none of {len(skipped)} scores can be used; {skipped[0].song}: {skipped[0].reason}")
    return scores, skipped


def _score(name: str, loaded: Any) -> Score:
    from partitura.score import ChordSymbol, KeySignature, Measure, TimeSignature

    part = loaded.parts[0]
    signatures = {f"{each.beats}/{each.beat_type}" for each in part.iter_all(TimeSignature)}
    if len(signatures) != 1:
        raise UserError(f"has {len(signatures)} meters ({', '.join(sorted(signatures))}); only one can be used")
    signature = signatures.pop()
    if signature not in _METERS:
        raise UserError(f"is in {signature}; {', '.join(_METERS)} can be used")
    meter, beat_quarters = _METERS[signature]
    quarters = part.quarter_map
    bars = [(float(quarters(bar.start.t)), float(quarters(bar.end.t))) for bar in part.iter_all(Measure)]
    downbeats = _bar_lines(bars, int(signature.split("/")[0]) * 4 / int(signature.split("/")[1]))
    zero = downbeats[0]
    notes = _line(_notes(part, zero, voices=(None, 1)))
    if len(notes) < LEAST_NOTES:
        raise UserError(f"has {len(notes)} notes; at least {LEAST_NOTES} are needed")
    keys = {(each.fifths, each.mode) for each in part.iter_all(KeySignature)}
    lines = tuple(line - zero for line in downbeats)
    beats = tuple(float(beat) for beat in np.arange(0, max(lines[-1], notes[-1][1]) + _SAME, beat_quarters))
    symbols = [(float(quarters(each.start.t)) - zero, _harte(each)) for each in part.iter_all(ChordSymbol)]
    if not symbols:
        symbols = read_chords([note for other in loaded.parts[1:] for note in _notes(other, zero)], beats, lines)
    if len(symbols) < _LEAST_CHORDS:
        raise UserError(f"has {len(symbols)} chords; at least {_LEAST_CHORDS} are needed")
    return Score(name, meter, beat_quarters, _key(keys, symbols), beats, lines,
                 tuple(dict(sorted(symbols)).items()), notes)  # fmt: skip


def _notes(part: Any, zero: float, voices: Container[int | None] | None = None) -> list[Note]:
    """Those of a part in quarters from ``zero`` on, of all voices if none are given."""
    quarters = part.quarter_map
    return [
        (float(quarters(note.start.t)) - zero, float(quarters(note.end_tied.t)) - zero, int(note.midi_pitch))
        for note in part.notes_tied
        if voices is None or note.voice in voices
    ]


def _bar_lines(bars: list[tuple[float, float]], full: float) -> list[float]:
    """Where bars begin: a pickup is none, and bars that a repeat splits are one.

    Raises:
        UserError: a bar is longer or shorter than the meter says, with its neighbour.
    """
    lines, open_since = [], None
    for index, (start, end) in enumerate(bars):
        length = end - start
        if open_since is None and abs(length - full) < _SAME:
            lines.append(start)
        elif length > full + _SAME:
            raise UserError(f"bar {index + 1} is longer than its meter")
        elif not lines and open_since is None:  # a pickup
            continue
        elif open_since is None:
            lines.append(start)
            open_since = start
        elif end - open_since > full + _SAME:
            raise UserError(f"bar {index + 1} is longer than its meter")
        if open_since is not None and abs(end - open_since - full) < _SAME:
            open_since = None
    if len(lines) < 2 or any(abs(b - a - full) > _SAME for a, b in pairwise(lines)):
        raise UserError("has bars that are shorter than their meter")
    return lines


def _line(notes: list[Note]) -> tuple[Note, ...]:
    """One note at a time: of those that begin together the highest, each until the next at most."""
    line: list[Note] = []
    for start, end, midi in sorted(notes, key=lambda note: (note[0], -note[2])):
        if end - start < _SAME or (line and start - line[-1][0] < _SAME):
            continue
        if line and line[-1][1] > start:
            line[-1] = (line[-1][0], start, line[-1][2])
        line.append((start, end, midi))
    return tuple(line)


def _with_kinds(content: bytes) -> bytes:
    """The score with the text of each chord's kind set to the kind and the bass, such as ``dominant/B-1``: the text,
    which differs from program to program or is missing, is all that partitura keeps of it. It keeps nothing of a chord
    without root, so that N.C. gets one."""
    root = ElementTree.fromstring(content)
    for harmony in root.iter("harmony"):
        kind = harmony.find("kind")
        if kind is None:
            continue
        text, step = (kind.text or "").strip(), harmony.findtext("bass/bass-step")
        if step is not None:
            text += f"/{step.strip()}{harmony.findtext('bass/bass-alter', '0').strip()}"
        kind.set("text", text)
        if text == "none" and harmony.find("root") is None:
            ElementTree.SubElement(ElementTree.SubElement(harmony, "root"), "root-step").text = "C"
    return ElementTree.tostring(root)


def _harte(symbol: Any) -> str:
    """Harte's name of a chord.

    Raises:
        UserError: it is of a kind that has none.
    """
    kind, _, below = (symbol.kind or "").partition("/")
    if kind not in _KINDS:
        raise UserError(f"has a chord of the kind {kind!r}")
    if kind == "none":
        return "N"
    root = (pitch_class(symbol.root) + int(symbol.alter or 0)) % 12
    bass = (pitch_class(below[0]) + round(float(below[1:]))) % 12 if below else root
    return Chord(root, _KINDS[kind], None if bass == root else bass).named()


def _key(signatures: set[tuple[int, str | None]], chords: list[tuple[float, str]]) -> str | None:
    """The key of the one signature, if the last chord agrees; None otherwise.

    What files say of major and minor is not to be trusted, and some have no signature at all where it is needed.
    """
    last = Chord.parse(max(chords)[1])
    if len(signatures) != 1 or last.root is None:
        return None
    ((fifths, _),) = signatures
    minor = last.quality.startswith("min")
    key = Key((7 * fifths + (9 if minor else 0)) % 12, minor)
    return str(key) if key.tonic == last.root else None
