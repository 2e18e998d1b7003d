"""Waveform to latents and back: the bundle's two codec graphs in chunks, and the synthesis of predicted spectra.

A decoder gives either a waveform or a spectrum without phases, from which :class:`SpectralSynthesis` makes one.
"""

from samuel_runtime.codec.codec import Codec, CodecEngines, OnChunk
from samuel_runtime.codec.spectrum import Spectrum
from samuel_runtime.codec.synthesis import SpectralSynthesis

__all__ = ["Codec", "CodecEngines", "OnChunk", "SpectralSynthesis", "Spectrum"]
