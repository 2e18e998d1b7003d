"""What every codec offers: two modules, the facts about them, and how far each of them looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from samuel_runtime.bundle.manifest import DecoderKind

_FIRST_PROBE_FRAMES = 32
_LONGEST_PROBE_FRAMES = 2048


@dataclass(frozen=True)
class SignalFacts:
    """The shape of a codec's two signals."""

    sample_rate_hz: int = 44100
    """Rate of the waveform."""
    hop_samples: int = 2048
    """Samples a latent frame stands for."""
    channels: int = 2
    """Channels of the waveform."""
    latent_channels: int = 64
    """Channels of the latents."""
    decoder: DecoderKind = DecoderKind.WAVEFORM
    """What the decoder gives."""


class Codec(nn.Module):
    """A pair of deterministic modules between waveform and latents.

    ``encoder`` takes (batch, channels, frames * hop_samples) float32 to (batch, latent_channels, frames);
    ``decoder`` takes latents to a waveform, or to a spectrum from which :meth:`decode` makes one. Neither looks further
    than a finite number of frames, so a song cut into chunks that overlap by :func:`encoder_context_frames` or
    :func:`decoder_context_frames` comes out as if it had been treated whole.
    """

    encoder: nn.Module
    """(batch, channels, frames * hop_samples) to (batch, latent_channels, frames)."""
    decoder: nn.Module
    """(batch, latent_channels, frames) to what ``facts.decoder`` says: (batch, channels, frames * hop_samples), or
    the outputs of a spectral decoder by name."""

    def __init__(self, facts: SignalFacts, provenance: str, licence: str) -> None:
        super().__init__()
        self.facts = facts
        """The shape of the two signals."""
        self.provenance = provenance
        """Where the weights come from, for the manifest of a bundle."""
        self.licence = licence
        """What the weights may be used for, for the manifest of a bundle."""

    def decode(self, latents: Tensor) -> Tensor:
        """(batch, latent_channels, frames) to a waveform, (batch, channels, frames * hop_samples)."""
        waveform: Tensor = self.decoder(latents)
        return waveform

    def decoded_frames(self, outputs: Any) -> Tensor:
        """What the decoder gave for one song, by the frame: (frames, values)."""
        channels = outputs[0].unflatten(-1, (-1, self.facts.hop_samples))  # (channels, frames, hop)
        return channels.transpose(0, 1).flatten(1)


def encoder_context_frames(codec: Codec) -> tuple[int, int]:
    """Frames of waveform (before, after) a latent frame that it depends on.

    Raises:
        ValueError: if the encoder looks further than 1024 frames.
    """
    facts, encoder = codec.facts, codec.encoder

    def poisoned(frames: int, at: int) -> Tensor:
        audio = torch.zeros(1, facts.channels, frames * facts.hop_samples, device=_device(encoder))
        audio[..., at * facts.hop_samples : (at + 1) * facts.hop_samples] = torch.nan
        return encoder(audio)[0].isnan().any(dim=0)

    return _context(poisoned)


def decoder_context_frames(codec: Codec) -> tuple[int, int]:
    """Latent frames (before, after) a frame of the decoder's output that it depends on.

    Raises:
        ValueError: if the decoder looks further than 1024 frames.
    """
    facts, decoder = codec.facts, codec.decoder

    def poisoned(frames: int, at: int) -> Tensor:
        latents = torch.zeros(1, facts.latent_channels, frames, device=_device(decoder))
        latents[..., at] = torch.nan
        return codec.decoded_frames(decoder(latents)).isnan().any(dim=1)

    return _context(poisoned)


@torch.no_grad()
def _context(poisoned: Callable[[int, int], Tensor]) -> tuple[int, int]:
    """Frames (before, after) an output that must be right for it to be right.

    One frame of a silent input is NaN; the NaNs that come out mark every output it reaches. The probe grows
    until they stop short of both ends.
    """
    frames = _FIRST_PROBE_FRAMES
    while frames <= _LONGEST_PROBE_FRAMES:
        at = frames // 2
        reached = poisoned(frames, at).nonzero().flatten().tolist()
        if not reached:
            raise ValueError("an input frame reaches no output; this is no codec")
        first, last = reached[0], reached[-1]
        if first > 0 and last < frames - 1:
            # An input that reaches later outputs is context before those outputs, and the reverse.
            return max(0, last - at), max(0, at - first)
        frames *= 2
    raise ValueError(f"the codec looks further than {_LONGEST_PROBE_FRAMES // 2} frames")


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
