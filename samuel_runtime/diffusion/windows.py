"""Songs longer than one window: each window continues the latents of the one before by inpainting (RePaint-like).

Neighbouring windows share frames. The x_0 estimate of the first half of them is replaced by the latents that the
window before has drawn; since noise is keyed by frame, the denoiser sees them at their proper noise level.

The second half is drawn again. The end of a window was drawn without the vocals that follow, and a window that is held
to all of it must jump there: on a Gaussian process, whose ideal denoiser is known, jumps at the seams then have three
times the power of others. Drawn again, from the same noise, the second half joins smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.diffusion.samplers import Denoise

OVERLAP_FRAMES = 256
"""Frames that neighbouring windows share: 11.9 s, enough for a key and a beat to carry over."""


@dataclass(frozen=True)
class Window:
    """A span of the song that is sampled at once."""

    start: int
    """First frame, in the song."""
    frames: int
    """Length of the window."""
    prefix_frames: int
    """Frames at its start that the windows before it have settled; what they drew beyond is drawn again."""


def windows(frames: int, window_frames: int, overlap_frames: int = OVERLAP_FRAMES) -> list[Window]:
    """Cover ``frames`` by windows of equal length; the last one ends with the song and may share more.

    A song no longer than a window is one window of its own length.

    Raises:
        ValueError: if the overlap leaves nothing new in a window.
    """
    if not 0 <= overlap_frames < window_frames:
        raise ValueError(f"an overlap of {overlap_frames} frames leaves nothing new in {window_frames}")
    if frames <= window_frames:
        return [Window(0, frames, 0)]
    starts = [*range(0, frames - window_frames, window_frames - overlap_frames), frames - window_frames]
    settled = [0] + [start + window_frames - overlap_frames // 2 for start in starts[:-1]]
    return [Window(start, window_frames, max(0, done - start)) for start, done in zip(starts, settled, strict=True)]


def inpaint_prefix(denoise: Denoise, prefix_latents: np.ndarray) -> Denoise:
    """Wrap ``denoise`` so that x_0 of the first frames is ``prefix_latents``, (batch, channels, held frames)."""
    prefix_frames = prefix_latents.shape[-1]
    if prefix_frames == 0:
        return denoise

    def held(x: np.ndarray, t: int) -> np.ndarray:
        x0 = denoise(x, t).copy()
        x0[..., :prefix_frames] = prefix_latents
        return x0

    return held


def frames_for(manifest: Manifest, samples: int) -> int:
    """Latent frames of so many samples at the codec's rate, padded to a length the model takes."""
    facts = manifest.model
    frames = -(-samples // manifest.codec.hop_samples)
    return -(-max(frames, facts.frames_min) // facts.frames_multiple) * facts.frames_multiple


def windows_of(manifest: Manifest, frames: int) -> list[Window]:
    """The windows in which a song of so many latent frames is sampled."""
    longest = manifest.model.frames
    return windows(frames, longest, min(OVERLAP_FRAMES, longest // 2))
