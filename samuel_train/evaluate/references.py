"""MP3 and Opus at low bit rates: widely known codecs to compare the numbers of the latent codec with."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr

MP3, OPUS = "MP3, 32 kbit/s", "Opus, 24 kbit/s"
_MP3_LEVEL, _OPUS_LEVEL = 0.9999, 0.976  # of libsndfile's compression: MP3's lowest rate, and 24 to 26 kbit/s
_MP3_DELAY_SAMPLES = 1105  # LAME's encoder and the decoder together
_OPUS_RATE_HZ = 48_000


def through_mp3(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """(samples, channels) encoded as MP3 at its lowest rate and decoded, of the same shape."""
    decoded = _through(samples, sample_rate_hz, "MP3", "MPEG_LAYER_III", _MP3_LEVEL)
    return _fitted(decoded[_MP3_DELAY_SAMPLES:], len(samples))


def through_opus(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """(samples, channels) encoded as Opus at about 24 kbit/s and decoded, of the same shape."""
    at_rate = soxr.resample(samples, sample_rate_hz, _OPUS_RATE_HZ)
    decoded = _through(at_rate, _OPUS_RATE_HZ, "OGG", "OPUS", _OPUS_LEVEL)
    return _fitted(soxr.resample(decoded, _OPUS_RATE_HZ, sample_rate_hz), len(samples))


def _through(samples: np.ndarray, sample_rate_hz: int, container: str, subtype: str, level: float) -> np.ndarray:
    file = io.BytesIO()
    mode = "CONSTANT" if container == "MP3" else None
    soundfile.write(
        file, samples, sample_rate_hz, format=container, subtype=subtype, compression_level=level, bitrate_mode=mode
    )
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32", always_2d=True)
    return np.asarray(decoded)


def _fitted(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples[:length], ((0, max(0, length - len(samples))), (0, 0)))
