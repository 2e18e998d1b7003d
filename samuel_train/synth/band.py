"""The band as sound: every distinct note is rendered once, placed many times, and mixed in stereo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samuel_train.synth.arrangement import Note, Part, Stroke, arrange
from samuel_train.synth.drums import Drum, build_kit
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, convolve, from_db, room_response
from samuel_train.synth.form import Plan
from samuel_train.synth.instruments import BASS, COMPING, STRINGS, Instrument, Timbre, draw_timbre, play
from samuel_train.synth.styles import Comping

# Gain of a stroke at full loudness, its place from -1 (left) to 1, and how much of it the room gets.
_DRUMS = {
    Drum.KICK: (0.55, 0.0, 0.05),
    Drum.SNARE: (0.42, 0.05, 0.25),
    Drum.RIM: (0.26, -0.1, 0.3),
    Drum.CLOSED_HAT: (0.14, 0.35, 0.1),
    Drum.OPEN_HAT: (0.15, 0.35, 0.15),
    Drum.SHAKER: (0.12, -0.4, 0.2),
    Drum.CRASH: (0.22, -0.3, 0.3),
}
_PART_GAIN = {Part.BASS: 0.15, Part.COMPING: 0.085, Part.STRINGS: 0.038}
_PART_ROOM = {Part.BASS: 0.02, Part.COMPING: 0.25, Part.STRINGS: 0.5}


def play_band(rng: np.random.Generator, plan: Plan, samples: int) -> np.ndarray:
    """The accompaniment of a plan, (samples, 2) float32, before its level is set."""
    notes, strokes = arrange(rng, plan)
    comping = plan.style.instruments[rng.integers(len(plan.style.instruments))]
    instruments = {Part.BASS: BASS, Part.COMPING: COMPING[comping], Part.STRINGS: STRINGS}
    side = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.15, 0.45))
    places = {Part.BASS: 0.0, Part.COMPING: side, Part.STRINGS: -0.5 * side}
    mix = np.zeros((2, samples), dtype=np.float32)
    room_send = np.zeros(samples, dtype=np.float32)
    for part, instrument in instruments.items():
        track = _play_part([n for n in notes if n.part is part], instrument, draw_timbre(rng), samples)
        if part is Part.COMPING and comping is Comping.DRIVEN_GUITAR:
            track = _drive(track)
        gain = _PART_GAIN[part] * from_db(float(rng.uniform(-2.5, 2.5)))
        _place(mix, room_send, gain * track, places[part], _PART_ROOM[part])
    kit = build_kit(rng)
    drum_gain = from_db(float(rng.uniform(-3, 2)))
    for drum, (gain, place, room) in _DRUMS.items():
        track = _play_drum([s for s in strokes if s.drum == drum], kit[drum], samples)
        _place(mix, room_send, drum_gain * gain * track, place, room)
    response = room_response(rng, float(rng.uniform(0.5, 1.3)))
    for channel in range(2):
        mix[channel] += convolve(room_send, response[:, channel])
    return mix.T


def _play_part(notes: Sequence[Note], instrument: Instrument, timbre: Timbre, samples: int) -> np.ndarray:
    track = np.zeros(samples, dtype=np.float32)
    rendered = {midi: play(instrument, midi, timbre) for midi in sorted({note.midi for note in notes})}
    release = round(instrument.release_s * SAMPLE_RATE_HZ)
    fade = np.cos(np.linspace(0, np.pi / 2, release, dtype=np.float32)) ** 2
    for note in notes:
        start = round(note.start_s * SAMPLE_RATE_HZ)
        whole = rendered[note.midi]
        held = min(round(note.duration_s * SAMPLE_RATE_HZ), len(whole) - release)
        sound = note.loudness * whole[: held + release]
        sound[held:] *= fade
        room = max(min(len(sound), samples - start), 0)
        track[start : start + room] += sound[:room]
    return track


def _play_drum(strokes: Sequence[Stroke], sound: np.ndarray, samples: int) -> np.ndarray:
    track = np.zeros(samples, dtype=np.float32)
    for stroke in strokes:
        start = round(stroke.start_s * SAMPLE_RATE_HZ)
        room = max(min(len(sound), samples - start), 0)
        track[start : start + room] += stroke.loudness * sound[:room]
    return track


def _drive(track: np.ndarray) -> np.ndarray:
    """An overdriven amplifier and its loudspeaker, which passes little above 5 kHz."""
    driven = np.tanh(1.6 * track)
    taps = np.hanning(11).astype(np.float32)
    return convolve(driven, taps / taps.sum())


def _place(mix: np.ndarray, room_send: np.ndarray, track: np.ndarray, place: float, room: float) -> None:
    """Add a mono track to the stereo mix (2, samples) with constant power, and to the room."""
    angle = (place + 1) * np.pi / 4
    mix[0] += np.float32(np.cos(angle) * np.sqrt(2)) * track
    mix[1] += np.float32(np.sin(angle) * np.sqrt(2)) * track
    room_send += np.float32(room) * track
