"""How fast a bundle runs, and what that predicts for a song."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.codec.chunks import chunks
from samuel_runtime.diffusion.windows import OVERLAP_FRAMES, windows

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Speed:
    """Seconds of each part of the work: the least of several runs, since what disturbs a run only ever adds to it."""

    first_s: Seconds
    """What first runs cost more than later ones, all parts together: memory, and code made for a shape."""
    encode_s: Seconds
    """Per frame that the encoder reads, context included."""
    window_s: Seconds
    """Per full window, before its first step: conditioning."""
    step_s: _Positive
    """Per guided denoising step of a full window."""
    short_step_s: _Positive
    """Per guided denoising step of the shortest window."""
    decode_s: Seconds
    """Per frame that the decoder reads, context included."""

    def encoding_s(self, manifest: Manifest, frames: int) -> float:
        """Seconds to encode a voice of so many frames."""
        return self.encode_s * frames_read(frames, manifest, manifest.codec.encoder_context_frames)

    def decoding_s(self, manifest: Manifest, frames: int) -> float:
        """Seconds to decode a band of so many frames."""
        return self.decode_s * frames_read(frames, manifest, manifest.codec.decoder_context_frames)

    def sampling_s(self, manifest: Manifest, frames: int) -> tuple[float, float]:
        """Seconds to draw the latents of a song of so many frames: a fixed part, and a part per step."""
        model = manifest.model
        spans = windows(frames, model.frames, min(OVERLAP_FRAMES, model.frames // 2))
        fixed = sum(self.window_s * window.frames / model.frames for window in spans)
        return fixed, sum(self.step_of(window.frames, manifest) for window in spans)

    def song_s(self, manifest: Manifest, frames: int, steps: int) -> float:
        """Seconds from a voice to a band, once loaded and warm, files aside."""
        fixed, per_step = self.sampling_s(manifest, frames)
        return self.encoding_s(manifest, frames) + fixed + steps * per_step + self.decoding_s(manifest, frames)

    def step_of(self, frames: int, manifest: Manifest) -> float:
        """Seconds per step of a window of so many frames.

        A line through the two lengths that were measured; a window is never shorter than the shortest.
        """
        model = manifest.model
        if model.frames == model.frames_min:
            return self.step_s
        part = (frames - model.frames_min) / (model.frames - model.frames_min)
        return self.short_step_s + part * max(self.step_s - self.short_step_s, 0.0)


def frames_read(frames: int, manifest: Manifest, context_frames: int) -> int:
    """Frames that the codec reads to make so many, in chunks that overlap by their context."""
    return sum(c.read_stop - c.read_start for c in chunks(frames, manifest.codec.chunk_frames, context_frames))
