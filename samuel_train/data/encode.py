"""One song through the codec's encoder, in overlapping chunks, so that memory does not grow with the song."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from samuel_runtime.codec.chunks import SlidingReader, chunks
from samuel_train.codec.model.base import Codec
from samuel_train.data.stems import SongFolder, read_song

ENTRY_FRAMES = 1024
"""Frames of one entry of the latents, as in the published data set."""

_CHUNK_FRAMES = 256


def valid_frames(samples: int, hop_samples: int) -> list[int]:
    """Frames of music in each entry of a song of so many samples; what is missing to 1024 is silence.

    A tail shorter than a quarter of an entry is dropped, unless it is all there is.
    """
    full, tail = divmod(-(-samples // hop_samples), ENTRY_FRAMES)
    keep_tail = tail >= ENTRY_FRAMES // 4 or not full
    return [ENTRY_FRAMES] * full + [tail] * (keep_tail and tail > 0)


class Encoded(NamedTuple):
    """A song as latents."""

    latents: np.ndarray
    """(2, entries, latent_channels, 1024) float32 of vocals and accompaniment."""
    valid_frames: np.ndarray
    """(entries,) int64."""


@torch.inference_mode()
def encode_song(song: SongFolder, codec: Codec, context_frames: int, semitones: int = 0) -> Encoded:
    """Encode vocals and accompaniment; every frame equals that of the whole song encoded in one piece.

    ``semitones`` plays the song faster or slower, as tape is: pitch and tempo move together, by 2^(semitones / 12).

    Raises:
        UserError: if the song cannot be used.
    """
    facts = codec.facts
    # What is resampled to a lower rate, and then taken for the codec's, is played faster.
    samples, blocks = read_song(song, round(facts.sample_rate_hz / 2 ** (semitones / 12)), facts.channels)
    valid = valid_frames(samples, facts.hop_samples)
    frames = len(valid) * ENTRY_FRAMES
    hop, reader = facts.hop_samples, SlidingReader(blocks, (2, facts.channels))
    device = next(codec.encoder.parameters()).device
    latents = np.empty((2, facts.latent_channels, frames), np.float32)
    # The whole song, not only its entries: a dropped tail is still context for what comes before it.
    for chunk in chunks(max(frames, -(-samples // facts.hop_samples)), _CHUNK_FRAMES, context_frames):
        if chunk.start >= frames:
            break
        audio = torch.from_numpy(reader.read(chunk.read_start * hop, chunk.read_stop * hop)).to(device)
        latents[:, :, chunk.start : chunk.stop] = codec.encoder(audio)[:, :, chunk.kept].float().cpu().numpy()
    entries = latents.reshape(2, facts.latent_channels, len(valid), ENTRY_FRAMES)  # (2, channels, entries, 1024)
    return Encoded(np.ascontiguousarray(entries.transpose(0, 2, 1, 3)), np.array(valid))
