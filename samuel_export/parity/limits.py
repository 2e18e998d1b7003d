"""How far a bundle may be from the PyTorch model, by the precision of its arithmetic.

The scale is what can be heard. Measured on the packaged model (25 steps, guidance 2, three real voices), the
latents' signal-to-noise ratio and the log-mel distance (samuel_runtime/audio/mel.py) of the audio that they decode to:

    another seed                                     -3 dB  1.6 - 2.0
    the codec itself, a song against its original           0.35 - 0.41
    noise of the strength its training made it bear  15 dB  0.20 - 0.23
    one step more or less than 25              32 - 42 dB   0.015 - 0.063
    a gain of 0.1 dB                                        0.012
    bf16, codec and all                        41 - 47 dB   0.012 - 0.016
    large weights of the step in int8, else fp16      48 dB  0.015
    all weights of the step in int8, else fp16   26 - 37 dB  0.033 - 0.079
    fp16, codec and all                        62 - 67 dB   0.001
    OpenVINO for ONNX Runtime, float32             121 dB   0.000

A level must change by about 1 dB, 0.115 in every band, before anybody hears it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from samuel_export.precision.weights import WeightFormat
from samuel_runtime.errors import unhandled
from samuel_runtime.settings import Precision


@dataclass(frozen=True)
class Limits:
    """Largest errors that pass; relative L2 but for the last."""

    step: float
    """One evaluation of the network."""
    trajectory: float
    """The latents that the default sampler ends at, and what a spectral decoder predicts from them."""
    codec: float
    """Encoded latents, and a decoder's waveform or predictions."""
    audio: float
    """The waveform decoded from a whole trajectory."""
    log_mel: float
    """Mean absolute difference of log-mel spectra of decoded audio, see samuel_runtime/audio/mel.py."""


_FP32 = Limits(step=2e-5, trajectory=1e-3, codec=1e-4, audio=1e-2, log_mel=1e-3)
"""Float32 graphs differ by rounding alone: 2e-6 a step of a new network, 1e-5 of a trained one that is given hardly any
noise; guidance and the sampler amplify that."""
_FP16 = Limits(step=5e-3, trajectory=2e-2, codec=1e-2, audio=5e-2, log_mel=2e-2)
"""11 bits: 3e-3 a step at most where every operation rounds to them, 5e-4 where only the weights do."""
_BF16 = Limits(step=5e-2, trajectory=5e-2, codec=5e-2, audio=1e-1, log_mel=4e-2)
"""8 bits: 3e-2 a step at most. The most that is let through is a quarter of the noise that the codec bears (26 dB),
and in sound a tenth of what the codec itself changes: no more than one step more or less does."""
_INT8 = replace(_FP16, step=1e-2)
"""8 bits with a scale for every 32 of the large weights of a step, the rest as above: 5e-3 a step at most."""


def limits_of(precision: Precision, weight_format: WeightFormat) -> Limits:
    """The limits for a bundle's arithmetic and, where that is float32, its weights."""
    if precision is Precision.FP32:
        if weight_format is WeightFormat.FP32:
            return _FP32
        if weight_format is WeightFormat.FP16:
            return _FP16
        if weight_format is WeightFormat.INT8:
            return _INT8
        raise unhandled(weight_format)
    if precision is Precision.FP16:
        return _FP16
    if precision is Precision.BF16:
        return _BF16
    raise unhandled(precision)
