"""One song through the codec's encoder, in overlapping chunks, so that memory does not grow with the song."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from samuel_runtime.chunks import chunks
from samuel_train.codec.base import Codec
from samuel_train.stems import Song, read_song

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
def encode_song(song: Song, codec: Codec, context_frames: int) -> Encoded:
    """Encode vocals and accompaniment; every frame equals that of the whole song encoded in one piece.

    Raises:
        UserError: if the song cannot be used.
    """
    facts = codec.facts
    samples, blocks = read_song(song, facts.sample_rate_hz, facts.channels)
    valid = valid_frames(samples, facts.hop_samples)
    frames = len(valid) * ENTRY_FRAMES
    window = _Window(blocks, facts.channels, facts.hop_samples)
    device = next(codec.encoder.parameters()).device
    latents = np.empty((2, facts.latent_channels, frames), np.float32)
    # The whole song, not only its entries: a dropped tail is still context for what comes before it.
    for chunk in chunks(max(frames, -(-samples // facts.hop_samples)), _CHUNK_FRAMES, context_frames):
        if chunk.start >= frames:
            break
        audio = torch.from_numpy(window.read(chunk.read_start, chunk.read_stop)).to(device)
        latents[:, :, chunk.start : chunk.stop] = codec.encoder(audio)[:, :, chunk.kept].float().cpu().numpy()
    entries = latents.reshape(2, facts.latent_channels, len(valid), ENTRY_FRAMES)  # (2, channels, entries, 1024)
    return Encoded(np.ascontiguousarray(entries.transpose(0, 2, 1, 3)), np.array(valid))


class _Window:
    """Frames of a stream of blocks; reads move forwards and may overlap."""

    def __init__(self, blocks: Iterator[np.ndarray], channels: int, hop_samples: int) -> None:
        self._blocks = blocks
        self._hop_samples = hop_samples
        self._buffer = np.zeros((2, channels, 0), np.float32)
        self._start = 0  # sample of the song at which the buffer begins

    def read(self, start_frame: int, stop_frame: int) -> np.ndarray:
        """(2, channels, samples) of the span; past the end of the stream it is silent."""
        start, stop = start_frame * self._hop_samples, stop_frame * self._hop_samples
        pieces = [self._buffer[:, :, start - self._start :]]
        have = start + pieces[0].shape[2]
        while have < stop:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((*self._buffer.shape[:2], stop - have), np.float32)
            pieces.append(block)
            have += block.shape[2]
        self._buffer, self._start = np.concatenate(pieces, axis=2), start
        return self._buffer[:, :, : stop - start]
