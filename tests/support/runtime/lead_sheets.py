"""Lead sheets for tests: strategies of hypothesis, and one to read."""

from __future__ import annotations

from hypothesis import strategies as st

from samuel_runtime.leadsheet.chords import QUALITIES
from samuel_runtime.leadsheet.sheet import ChordSpan, Confidence, LeadSheet, Meter, Note

NAMES = st.sampled_from(
    [f"{root}:{quality}" for root in ("C", "F#", "Bb") for quality in QUALITIES] + ["N", "A:min/b3"]
)
_SHARES = st.floats(0, 1)


@st.composite
def sheets(draw: st.DrawFn, *, beats_least: int = 0) -> LeadSheet:
    """Sheets of which any part may be missing; beats a tenth of a second to two seconds apart."""
    meter = draw(st.sampled_from(Meter))
    intervals = draw(st.lists(st.floats(0.1, 2), min_size=beats_least, max_size=20))
    time_s, beats_s = draw(st.just(0.0) | st.floats(0.01, 40)), []
    for interval in intervals:
        beats_s.append(time_s)
        time_s += interval
    first = draw(st.integers(0, 3))
    downbeats_s = beats_s[first :: meter.beats] if draw(st.booleans()) else []
    end_s = time_s + draw(st.floats(0.5, 10))
    starts_s = sorted(draw(st.sets(st.sampled_from(beats_s), max_size=6))) if beats_s else []
    chords = [ChordSpan(start_s, draw(NAMES), draw(_SHARES)) for start_s in starts_s]
    notes_s = sorted(draw(st.sets(st.floats(0, end_s), max_size=4)))
    melody = [Note(start_s, draw(st.floats(0, 3)), draw(st.floats(30, 90)), draw(_SHARES)) for start_s in notes_s]
    return LeadSheet(
        end_s,
        meter,
        draw(st.sampled_from([None, "A minor", "Bb major", "F# minor"])),
        tuple(beats_s),
        tuple(downbeats_s),
        tuple(chords),
        tuple(melody),
        Confidence(*(draw(_SHARES) for _ in range(4))),
    )


def a_sheet(duration_s: float = 8.0) -> LeadSheet:
    """120 bpm in A minor from 0.3 s, a chord a bar."""
    beats_s = tuple(0.3 + 0.5 * index for index in range(int((duration_s - 0.3) * 2) + 1))
    names = ("A:min", "F:maj", "C:maj", "G:7/3")
    chords = tuple(ChordSpan(time_s, names[index % 4]) for index, time_s in enumerate(beats_s[::4]))
    return LeadSheet(duration_s, Meter.COMMON, "A minor", beats_s, beats_s[::4], chords)
