"""Pitched instruments: every note is a sum of damped modes, so a timbre is a table of partials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from samuel_train.synth.dsp import SAMPLE_RATE_HZ, damped_modes, midi_to_hz, rms
from samuel_train.synth.styles import Comping

_HIGHEST_PARTIAL_HZ = 15_000.0


@dataclass(frozen=True)
class Timbre:
    """What makes one instrument of a kind differ from the next."""

    brightness: float
    """0 dull .. 1 bright: how slowly the partials fall."""
    decay: float
    """Factor on the decay rates."""
    pluck: float
    """Where the string is struck, as a fraction of its length."""
    detune_cents: float
    """Spread of doubled voices."""


def draw_timbre(rng: np.random.Generator) -> Timbre:
    """A timbre for one song."""
    return Timbre(
        brightness=float(rng.uniform(0.1, 0.9)),
        decay=float(rng.uniform(0.75, 1.4)),
        pluck=float(rng.uniform(0.09, 0.28)),
        detune_cents=float(rng.uniform(3, 9)),
    )


Partials = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Frequencies in Hz, amplitudes, decay rates per second; (modes,) each."""


@dataclass(frozen=True)
class Instrument:
    """How one kind of instrument sounds and is let go."""

    partials: Callable[[float, Timbre], Partials]
    attack_s: float
    release_s: float
    longest_s: float
    """Its notes have died away, or are cut, by then."""


def play(instrument: Instrument, midi: int, timbre: Timbre) -> np.ndarray:
    """A note held for ``longest_s``, (samples,) float32, unit RMS over its first 0.3 s."""
    frequencies_hz, amplitudes, decays_per_s = instrument.partials(float(midi_to_hz(midi)), timbre)
    keep = frequencies_hz < _HIGHEST_PARTIAL_HZ
    samples = round(instrument.longest_s * SAMPLE_RATE_HZ)
    note = damped_modes(frequencies_hz[keep], amplitudes[keep], decays_per_s[keep], samples)
    attack = max(round(instrument.attack_s * SAMPLE_RATE_HZ), 2)
    note[:attack] *= np.sin(np.linspace(0, np.pi / 2, attack, dtype=np.float32)) ** 2
    return note / max(rms(note[: round(0.3 * SAMPLE_RATE_HZ)]), 1e-9)


def _orders(fundamental_hz: float, most: int) -> np.ndarray:
    return np.arange(1, max(2, min(most, int(_HIGHEST_PARTIAL_HZ / fundamental_hz)) + 1), dtype=np.float64)


def _stiff_string(fundamental_hz: float, orders: np.ndarray, stiffness: float) -> np.ndarray:
    """Partials of a string with bending stiffness: Fletcher & Rossing, The Physics of Musical Instruments, 2.18."""
    return fundamental_hz * orders * np.sqrt((1 + stiffness * orders**2) / (1 + stiffness))


def _bass_string(fundamental_hz: float, timbre: Timbre) -> Partials:
    orders = _orders(fundamental_hz, 24)
    amplitudes = np.sin(np.pi * orders * timbre.pluck) / orders ** (2.2 - 1.0 * timbre.brightness)
    return _stiff_string(fundamental_hz, orders, 6e-5), amplitudes, timbre.decay * (0.9 + 0.55 * orders)


def _plucked(damping: float, stiffness: float, tilt: float) -> Callable[[float, Timbre], Partials]:
    def partials(fundamental_hz: float, timbre: Timbre) -> Partials:
        orders = _orders(fundamental_hz, 40)
        amplitudes = np.sin(np.pi * orders * timbre.pluck) / orders ** (tilt - 0.6 * timbre.brightness)
        decays = timbre.decay * (0.5 + fundamental_hz / 400 + damping * orders**1.3)
        return _stiff_string(fundamental_hz, orders, stiffness), amplitudes, decays

    return partials


def _piano(fundamental_hz: float, timbre: Timbre) -> Partials:
    """Two strings to a note; their beating and the hammer's soft roll-off make the piano."""
    orders = _orders(fundamental_hz, 36)
    hammer = 1 / (1 + (orders * fundamental_hz / (900 + 2200 * timbre.brightness)) ** 2)
    amplitudes = hammer * np.abs(np.sin(np.pi * orders / 8.3)) / orders**0.6
    decays = timbre.decay * (0.5 + fundamental_hz / 500 + 0.22 * orders)
    single = _stiff_string(fundamental_hz, orders, 4e-4)
    second = single * 2 ** (0.25 * timbre.detune_cents / 1200)
    return np.concatenate([single, second]), np.tile(amplitudes, 2), np.concatenate([decays, 0.4 * decays])


def _electric_piano(fundamental_hz: float, timbre: Timbre) -> Partials:
    """A tine: a near-sine with a few harmonics from the pickup and a bell that dies at once."""
    ratios = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.02, 14.1, 20.3])
    bark = 0.25 + 0.75 * timbre.brightness
    amplitudes = np.array([1.0, 0.45, 0.22, 0.13, 0.07, 0.04, 0.06, 0.10, 0.04])
    amplitudes[1:] *= bark
    decays = timbre.decay * np.array([0.9, 1.4, 2.0, 2.6, 3.4, 4.2, 9.0, 16.0, 24.0])
    return fundamental_hz * ratios, amplitudes, decays * (0.7 + fundamental_hz / 900)


def _organ(fundamental_hz: float, timbre: Timbre) -> Partials:
    """Drawbars; the slow beat of a rotating speaker comes from a second, detuned rank."""
    ratios = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0])
    bright = timbre.brightness
    amplitudes = np.array([0.6, 1.0, 0.35, 0.6, 0.4 * bright, 0.4 * bright, 0.2 * bright, 0.2 * bright, 0.25 * bright])
    detuned = ratios * 2 ** (timbre.detune_cents / 1200)
    frequencies = fundamental_hz * np.concatenate([ratios, detuned])
    return frequencies, np.concatenate([amplitudes, 0.5 * amplitudes]), np.full(18, 0.02)


def _strings(fundamental_hz: float, timbre: Timbre) -> Partials:
    """A section: three detuned sawtooth-like voices."""
    orders = _orders(fundamental_hz, 18)
    amplitudes = np.exp(-orders * fundamental_hz / (900 + 2200 * timbre.brightness)) / orders
    spread = 2 ** (timbre.detune_cents * np.array([-1.0, 0.13, 1.0]) / 1200)
    frequencies = (fundamental_hz * spread[:, None] * orders).reshape(-1)  # (3, orders) -> (3 orders,)
    signs = np.where(np.arange(len(frequencies)) % 2, -1.0, 1.0)
    return frequencies, np.tile(amplitudes, 3) * signs, np.full(len(frequencies), 0.03)


BASS = Instrument(_bass_string, attack_s=0.004, release_s=0.05, longest_s=2.4)
STRINGS = Instrument(_strings, attack_s=0.28, release_s=0.35, longest_s=4.2)
COMPING = {
    Comping.ELECTRIC_PIANO: Instrument(_electric_piano, attack_s=0.002, release_s=0.09, longest_s=2.6),
    Comping.PIANO: Instrument(_piano, attack_s=0.002, release_s=0.08, longest_s=2.8),
    Comping.NYLON_GUITAR: Instrument(_plucked(0.35, 2e-5, 1.5), attack_s=0.002, release_s=0.06, longest_s=2.0),
    Comping.STEEL_GUITAR: Instrument(_plucked(0.18, 6e-5, 1.0), attack_s=0.001, release_s=0.06, longest_s=2.4),
    Comping.DRIVEN_GUITAR: Instrument(_plucked(0.10, 6e-5, 1.3), attack_s=0.002, release_s=0.05, longest_s=2.4),
    Comping.ORGAN: Instrument(_organ, attack_s=0.006, release_s=0.04, longest_s=3.6),
}
