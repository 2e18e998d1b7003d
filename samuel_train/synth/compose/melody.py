"""The sung line: chord tones on the strong beats, scale steps between, phrases with room to breathe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from samuel_train.synth.compose.form import BARS_PER_PROGRESSION, Bar, Plan
from samuel_train.synth.compose.meter import COMMON, SIX_EIGHT, WALTZ, Meter
from samuel_train.synth.compose.styles import Section
from samuel_train.synth.compose.theory import Chord, melody_scale

# One bar in eighths: x begins a note, . holds it, - rests. A phrase is an opening bar and a closing bar.
_OPENINGS = {
    (COMMON, "calm"): ("x...x...", "x.x.x...", "x...x.x.", "x.x.x.x.", "x...x.xx", "x.....x."),
    (COMMON, "moving"): (
        "x.x.x.x.",
        "x.xxx.x.",
        "xxx.x.x.",
        "x.x.xxx.",
        "x.xxx.xx",
        "x..xx.x.",
        "x..x..x.",
        "-x.xx.x.",
    ),
    (WALTZ, "calm"): ("x...x.", "x.x.x.", "x.....", "x...xx"),
    (WALTZ, "moving"): ("x.x.x.", "x..xx.", "x.xxx.", "xxx.x."),
    (SIX_EIGHT, "calm"): ("x..x..", "x.xx..", "x....x", "x.xx.x"),
    (SIX_EIGHT, "moving"): ("x.xx.x", "xxxx.x", "x.xxxx", "x..xxx"),
}
_CLOSINGS = {
    (COMMON, "calm"): ("x.....--", "x...x.--", "x.x...--", "x...----"),
    (COMMON, "moving"): ("x.x...--", "xxx...--", "x.x.x.--", "x.xx..--", "x..x..--", "x...----"),
    (WALTZ, "calm"): ("x...--", "x....-", "x.x.--"),
    (WALTZ, "moving"): ("x...--", "x.x.--", "xxx.--"),
    (SIX_EIGHT, "calm"): ("x....-", "x...--", "x..x.-"),
    (SIX_EIGHT, "moving"): ("x....-", "x.xx--", "x.xx.-", "x..---"),
}
_PICKUP = 0.35  # how often a phrase begins an eighth before its bar

_LEAP_SIGMA = 2.6  # semitones
_REGISTER_SIGMA = 4.0
_PASSING_ON_STRONG = 0.02
_PASSING_ON_WEAK = 0.7
_REPEAT = 0.55
_CHORD_TONE_WEIGHTS = (1.3, 1.2, 1.0, 0.5)  # root, third, fifth, seventh
_CHORUS_LIFT = 3
_ECHO_SIGMA = 2.2  # how far the second phrase strays from the first where their rhythms agree


@dataclass(frozen=True)
class SungNote:
    """One note of the voice."""

    beat: float
    """Onset, in beats from the first beat of the song."""
    beats: float
    """Length."""
    midi: int
    """Pitch, 69 is 440 Hz."""
    opens_phrase: bool
    closes_phrase: bool
    lifted: bool
    """Whether it belongs to a chorus."""


def write_melody(rng: np.random.Generator, plan: Plan, lowest: int, highest: int) -> tuple[SungNote, ...]:
    """A melody for the sung bars of a plan, within ``lowest`` .. ``highest`` (MIDI notes).

    A section's rhythm is drawn once and comes back; its pitches come in two versions that take turns.
    """
    eighth_s = plan.beat_s * 2 / plan.meter.steps_per_beat
    manner = "calm" if eighth_s < 0.2 or rng.random() < 0.2 else "moving"
    rhythms = {section: _draw_rhythm(rng, plan.meter, manner) for section in Section if section.sung}
    versions: dict[tuple[Section, int], list[SungNote]] = {}
    melody: list[SungNote] = []
    for index, bar in enumerate(plan.bars):
        if not bar.section.sung or bar.position:
            continue
        version = (bar.section, bar.visit % 2)
        if version not in versions:
            progression = plan.bars[index : index + BARS_PER_PROGRESSION]
            lift = _CHORUS_LIFT if bar.section is Section.CHORUS else 0
            centre = (lowest + highest) / 2 - 1 + lift
            versions[version] = _sing(rng, plan, progression, rhythms[bar.section], centre, (lowest, highest))
        offset = index * plan.meter.beats
        melody += [replace(note, beat=note.beat + offset) for note in versions[version] if note.beat + offset >= 0]
    return tuple(melody)


def _draw_rhythm(rng: np.random.Generator, meter: Meter, manner: str) -> str:
    """Four bars: two phrases that share their closing, and often their opening."""
    first, second = rng.choice(_OPENINGS[meter, manner], size=2)
    closing, last = rng.choice(_CLOSINGS[meter, manner], size=2)
    if rng.random() < 0.5:
        second = first
    closing = str(closing)
    if rng.random() < _PICKUP and closing.endswith("--"):
        closing = closing[:-1] + "x"
    return str(first) + closing + str(second) + str(last)


def _sing(
    rng: np.random.Generator,
    plan: Plan,
    bars: Sequence[Bar],
    rhythm: str,
    centre: float,
    compass: tuple[int, int],
) -> list[SungNote]:
    meter = plan.meter
    per_beat = meter.steps_per_beat // 2  # eighths
    per_phrase = 2 * meter.eighths
    second_chord = meter.second_chord_step // 2
    pitches = np.arange(compass[0], compass[1] + 1)
    previous = centre
    sung: dict[int, int] = {}
    notes: list[SungNote] = []
    for step in (step for step, mark in enumerate(rhythm) if mark == "x"):
        length = 1
        while step + length < len(rhythm) and rhythm[step + length] == ".":
            length += 1
        bar, inside = divmod(step, meter.eighths)
        chord = bars[bar].chord_at(2 * inside)
        strong = inside in (0, second_chord) or length >= 2 * per_beat
        arch = 2.5 * np.sin(np.pi * (step % per_phrase) / per_phrase)
        weights = _harmonic_weights(pitches, chord, melody_scale(plan.key, chord), strong)
        weights *= np.exp(-0.5 * ((pitches - previous) / _LEAP_SIGMA) ** 2)
        weights *= np.exp(-0.5 * ((pitches - centre - arch) / _REGISTER_SIGMA) ** 2)
        if step - per_phrase in sung:  # the second phrase answers the first
            weights *= np.exp(-0.5 * ((pitches - sung[step - per_phrase]) / _ECHO_SIGMA) ** 2)
        weights[pitches == previous] *= _REPEAT
        previous = int(rng.choice(pitches, p=weights / weights.sum()))
        sung[step] = previous
        following = step + length
        rested = not notes or notes[-1].closes_phrase
        notes.append(
            SungNote(
                beat=step / per_beat,
                beats=length / per_beat,
                midi=previous,
                opens_phrase=rested,
                closes_phrase=following >= len(rhythm) or rhythm[following] == "-",
                lifted=bars[0].section is Section.CHORUS,
            )
        )
    return notes


def _harmonic_weights(pitches: np.ndarray, chord: Chord, scale: frozenset[int], strong: bool) -> np.ndarray:
    passing = _PASSING_ON_STRONG if strong else _PASSING_ON_WEAK
    of_class = np.array([passing if pitch_class in scale else 0.0 for pitch_class in range(12)])
    for pitch_class, weight in zip(chord.pitch_classes, _CHORD_TONE_WEIGHTS, strict=False):
        of_class[pitch_class] = weight
    return of_class[pitches % 12]
