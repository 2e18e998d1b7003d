"""Waveform to normalised latents and back through the bundle's two codec graphs, in constant memory.

Chunks carry the codec's receptive field as context on both sides, so their seams are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from samuel_runtime.chunks import Chunk, SlidingReader, chunks
from samuel_runtime.engines import Engine
from samuel_runtime.manifest import CodecFacts
from samuel_runtime.statistics import Statistics

OnChunk = Callable[[int, int], None]
"""Told after each chunk: frames done, frames in all."""


@dataclass(frozen=True)
class Codec:
    """The two codec graphs with the statistics of their latents."""

    encoder: Engine
    """(1, channels, frames * hop) -> (1, latent channels, frames)."""
    decoder: Engine
    """(1, latent channels, frames) -> (1, channels, frames * hop)."""
    facts: CodecFacts
    """Rate, hop and contexts."""
    statistics: Statistics
    """Of vocals (encoded) and accompaniment (decoded)."""

    def encode(self, blocks: Iterator[np.ndarray], frames: int, on_chunk: OnChunk | None = None) -> np.ndarray:
        """Encode a voice that arrives in blocks; what is missing to ``frames`` is silence.

        Args:
            blocks: float32 (samples, channels) at the codec's rate.
            frames: latent frames to make.
            on_chunk: progress.

        Returns:
            Normalised latents, float32 (latent channels, frames).
        """
        hop, parts = self.facts.hop_samples, []
        reader = SlidingReader((block.T for block in blocks), (self.facts.channels,))
        for chunk in chunks(frames, self.facts.chunk_frames, self.facts.encoder_context_frames):
            waveform = reader.read(chunk.read_start * hop, chunk.read_stop * hop)
            waveform = np.ascontiguousarray(waveform[None])  # (1, channels, samples)
            latents = self.encoder(waveform=waveform)["latents"][0]
            parts.append(self.statistics.normalise_vocals(latents[:, chunk.kept]))
            _report(on_chunk, chunk, frames)
        return np.concatenate(parts, axis=1)

    def decode(self, latents: np.ndarray, on_chunk: OnChunk | None = None) -> Iterator[np.ndarray]:
        """Decode normalised latents (latent channels, frames) to float32 blocks (samples, channels)."""
        hop, frames = self.facts.hop_samples, latents.shape[1]
        for chunk in chunks(frames, self.facts.chunk_frames, self.facts.decoder_context_frames):
            read = self.statistics.denormalise_accompaniment(latents[:, chunk.read_start : chunk.read_stop])
            waveform = self.decoder(latents=np.ascontiguousarray(read[None], dtype=np.float32))["waveform"][0]
            kept = chunk.kept
            yield waveform[:, kept.start * hop : kept.stop * hop].T
            _report(on_chunk, chunk, frames)


def _report(on_chunk: OnChunk | None, chunk: Chunk, frames: int) -> None:
    if on_chunk is not None:
        on_chunk(chunk.stop, frames)
