"""What happens to a mix before it is a record: low cut, tone, light compression, level, no clipping."""

from __future__ import annotations

import numpy as np

from samuel_train.synth.dsp import SAMPLE_RATE_HZ, from_db, rms, smooth

_PEAK = 0.97
_KNEE = 0.6
_CUT_FADE_S = 0.02
_BLOCK = 512
_ATTACK_BLOCKS = 9
_LOW_CUT_HZ = 32.0


def equalise(signal: np.ndarray, points: list[tuple[float, float]]) -> np.ndarray:
    """Shape a spectrum: (samples, channels) through gains in dB at (Hz, dB) points, straight in octaves between."""
    samples = len(signal)
    padded = -(-(samples + 4096) // 8192) * 8192  # a length that transforms quickly, and no wrapping round
    frequencies = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ)
    hz, decibels = zip(*points, strict=True)
    octaves = np.log2(np.maximum(frequencies, 1.0))
    gain = 10 ** (np.interp(octaves, np.log2(hz), decibels) / 20)
    spectrum = np.fft.rfft(signal.astype(np.float32), padded, axis=0)
    spectrum *= gain[:, None].astype(np.float32)
    return np.fft.irfft(spectrum, padded, axis=0)[:samples].astype(np.float32)


def compress(signal: np.ndarray, share: float) -> np.ndarray:
    """Take ``share`` of the level differences above -18 dB of the mean away, (samples, channels)."""
    samples = len(signal)
    blocks = -(-samples // _BLOCK)
    power = np.zeros(blocks * _BLOCK, dtype=np.float32)
    power[:samples] = np.mean(np.square(signal), axis=1)
    levels = smooth(power.reshape(blocks, _BLOCK).mean(axis=1), _ATTACK_BLOCKS)  # (blocks,)
    reference = max(float(power[:samples].mean()), 1e-12)
    over_db = np.maximum(10 * np.log10(np.maximum(levels, 1e-12) / reference), -18.0)
    gain = 10 ** (-share * over_db / 20)
    at = (np.arange(samples) + 0.5) / _BLOCK - 0.5
    return signal * np.interp(at, np.arange(blocks), gain).astype(np.float32)[:, None]


def master(rng: np.random.Generator, mix: np.ndarray) -> np.ndarray:
    """A band's mix (samples, 2) at the level of a record."""
    tone = [
        (_LOW_CUT_HZ / 2, -36.0),
        (_LOW_CUT_HZ, -3.0),
        (80.0, float(rng.uniform(-2, 2))),
        (400.0, float(rng.uniform(-3, 0))),
        (2500.0, float(rng.uniform(-1, 2))),
        (9000.0, float(rng.uniform(1, 6))),
        (16_000.0, float(rng.uniform(2, 7))),
    ]
    shaped = compress(equalise(mix, tone), float(rng.uniform(0.15, 0.35)))
    shaped *= np.float32(from_db(float(rng.uniform(-21, -14))) / max(rms(shaped), 1e-9))
    return finish(shaped)


def finish(stem: np.ndarray) -> np.ndarray:
    """Round off peaks that would clip and fade the cut at both ends, (samples, 2) float32."""
    over = np.abs(stem) > _KNEE
    headroom = _PEAK - _KNEE
    loud = stem[over]
    stem[over] = np.sign(loud) * (_KNEE + headroom * np.tanh((np.abs(loud) - _KNEE) / headroom))
    fade = np.linspace(0, 1, round(_CUT_FADE_S * SAMPLE_RATE_HZ), dtype=np.float32)[:, None]
    stem[: len(fade)] *= fade
    stem[-len(fade) :] *= fade[::-1]
    return np.ascontiguousarray(stem, dtype=np.float32)
