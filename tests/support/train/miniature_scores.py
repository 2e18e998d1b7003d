"""Lead sheets of a few bars, as MusicXML and as what is read of it."""

from __future__ import annotations

from collections.abc import Sequence

from samuel_runtime.leadsheet import Meter
from samuel_train.synth.scores.musicxml import Score

_STEPS = ("C", "D", "E", "F", "G", "A", "B")
_CHORDS = (("A", "minor"), ("D", "minor"), ("E", "dominant"), ("A", "minor"))


def _note(step: int, octave: int = 4) -> str:
    """A quarter, C = 0, D = 1."""
    pitch = f"<pitch><step>{_STEPS[step % 7]}</step><octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>1</duration><voice>1</voice><type>quarter</type></note>"


def harmony(root: str, kind: str, bass: tuple[str, int] | None = None) -> str:
    """A chord symbol; a bass is a step and its alteration."""
    below = "" if bass is None else f"<bass><bass-step>{bass[0]}</bass-step><bass-alter>{bass[1]}</bass-alter></bass>"
    return f"<harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind>{below}</harmony>"


_HARMONIES = tuple(harmony(*chord) for chord in _CHORDS)


def musicxml(
    beats: int = 4,
    bars: int = 8,
    last_beats: int | None = None,
    harmonies: Sequence[str] = _HARMONIES,
) -> str:
    """A pickup of a quarter, then bars of quarters with a chord each."""
    measures = [f'<measure number="0" implicit="yes">{_attributes(beats)}{_note(4)}</measure>']
    for bar in range(bars):
        count = last_beats if last_beats and bar == bars - 1 else beats
        notes = "".join(_note(bar + beat) for beat in range(count))
        measures.append(f'<measure number="{bar + 1}">{harmonies[bar % len(harmonies)]}{notes}</measure>')
    return _score(measures)


def accompanied(bars: Sequence[Sequence[tuple[int, int]]]) -> str:
    """A voice that goes up the scale, above bars of four quarters (steps and octaves) instead of chord symbols."""

    def part(lines: Sequence[Sequence[tuple[int, int]]]) -> list[str]:
        measures = ["".join(_note(*note) for note in line) for line in lines]
        return [
            f'<measure number="{bar}">{"" if bar else _attributes(4)}{notes}</measure>'
            for bar, notes in enumerate(measures)
        ]

    scale = [[(bar * 4 + beat, 5) for beat in range(4)] for bar in range(len(bars))]
    return _score(part(scale), part(bars))


def _attributes(beats: int) -> str:
    """Of a part without accidentals in quarters."""
    signature = f"<time><beats>{beats}</beats><beat-type>4</beat-type></time>"
    return f"<attributes><divisions>1</divisions><key><fifths>0</fifths></key>{signature}</attributes>"


def _score(*parts: Sequence[str]) -> str:
    """Of the measures of its parts."""
    names = [f'<score-part id="P{number}"><part-name>V</part-name></score-part>' for number in range(len(parts))]
    written = [f'<part id="P{number}">{"".join(measures)}</part>' for number, measures in enumerate(parts)]
    return f'<score-partwise version="3.1"><part-list>{"".join(names)}</part-list>{"".join(written)}</score-partwise>'


BARS = ("C:maj", "A:min7/b7", "D:9", "G:7", "N", "B:hdim7", "F:min6", "C:maj6/3")
"""The chords of :data:`TUNE`, by bar."""
LATE_IN_BAR_3 = "Db:maj7"
"""On the last beat of bar 3, counted from 0."""
TUNE = Score(
    name="tune.musicxml",
    meter=Meter.COMMON,
    beat_quarters=1.0,
    key="C major",
    beats=tuple(float(beat) for beat in range(33)),
    downbeats=tuple(4.0 * bar for bar in range(8)),
    chords=tuple(sorted([(4.0 * bar, name) for bar, name in enumerate(BARS)] + [(15.0, LATE_IN_BAR_3)])),
    notes=((-1.0, 0.0, 59), *((4.0 * bar, 4.0 * bar + 2.5, 60 + bar) for bar in range(8))),
)
"""A pickup, then a note in every bar, by which the bar is known, and a chord; bar 3 has a second one."""
