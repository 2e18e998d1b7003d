"""Waveform to normalised latents and back through the bundle's two codec graphs, in constant memory.

Large graphs are open one at a time. Chunks carry the codec's receptive field as context on both sides, so their seams
are exact.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from samuel_runtime.bundle.manifest import CodecFacts, DecoderKind, GraphName
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.codec.chunks import Chunk, SlidingReader, chunks
from samuel_runtime.codec.spectrum import HOP_SAMPLES, Spectrum
from samuel_runtime.codec.synthesis import SpectralSynthesis
from samuel_runtime.engines.backend import Bound, Engine
from samuel_runtime.errors import UserError, unhandled

OnChunk = Callable[[int, int], None]
"""Called after each chunk: frames done, frames in all."""
Await = Callable[[int], None]
"""Called before latents are read: returns once so many frames, from the first, hold their final values."""


class CodecEngines:
    """The engines of the two codec graphs: (1, channels, frames * hop) to (1, latent channels, frames) and back, to a
    waveform or a spectrum."""

    def __init__(self, open_graph: Callable[[GraphName], Engine], *, together: bool) -> None:
        """Open both at once if they may be open together; else each when it is needed, and then it alone."""
        self._open = open_graph
        both = (GraphName.ENCODER, GraphName.DECODER) if together else ()
        self._engines = {name: open_graph(name) for name in both}
        self._lock = threading.Lock()

    def __getitem__(self, name: GraphName) -> Engine:
        """The engine of the encoder or the decoder."""
        with self._lock:
            if name not in self._engines:
                self._engines.clear()  # gives the other's memory back before this one takes its own
                self._engines[name] = self._open(name)
            return self._engines[name]


@dataclass(frozen=True)
class Codec:
    """The two codec graphs with the statistics of their latents."""

    engines: CodecEngines
    """Of its encoder and decoder."""
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
        hop, parts, encoder = self.facts.hop_samples, [], _Repeated(self.engines[GraphName.ENCODER], "waveform")
        reader = SlidingReader((block.T for block in blocks), (self.facts.channels,))
        for chunk in chunks(frames, self.facts.chunk_frames, self.facts.encoder_context_frames):
            waveform = reader.read(chunk.read_start * hop, chunk.read_stop * hop)
            latents = encoder(waveform[None])["latents"][0]  # (1, channels, samples) -> (1, latent channels, frames)
            parts.append(self.statistics.normalise_vocals(latents[:, chunk.kept]))
            _report(on_chunk, chunk, frames)
        return np.concatenate(parts, axis=1)

    def decode(
        self, latents: np.ndarray, on_chunk: OnChunk | None = None, wait_for: Await | None = None
    ) -> Iterator[np.ndarray]:
        """Decode normalised latents (latent channels, frames) to float32 blocks (samples, channels), one per chunk.

        Args:
            latents: of the whole song; may still be filled in by ``wait_for``.
            on_chunk: progress.
            wait_for: makes the frames up to a number final, before they are read; None if all are.
        """
        synthesis = SpectralSynthesis() if self._spectral else None
        for chunk, outputs in self.decoder_outputs(latents, wait_for):
            if synthesis is None:
                block = outputs["waveform"].T.copy()  # the next chunk is written over it
            else:
                block = synthesis(Spectrum(**outputs), last=chunk.stop == latents.shape[1])
            _report(on_chunk, chunk, latents.shape[1])
            yield block

    def decoder_outputs(
        self, latents: np.ndarray, wait_for: Await | None = None
    ) -> Iterator[tuple[Chunk, dict[str, np.ndarray]]]:
        """What the decoder graph gives for each chunk, without its context; the next chunk is written over it.

        A waveform is (channels, samples); every output of a spectral decoder is (steps, width), some steps a frame.
        """
        decoder = _Repeated(self.engines[GraphName.DECODER], "latents")
        axis = 0 if self._spectral else -1  # of time
        for chunk in chunks(latents.shape[1], self.facts.chunk_frames, self.facts.decoder_context_frames):
            if wait_for is not None:
                wait_for(chunk.read_stop)
            read = self.statistics.denormalise_accompaniment(latents[:, chunk.read_start : chunk.read_stop])
            yield chunk, {name: self._kept(output[0], chunk, axis) for name, output in decoder(read[None]).items()}

    @property
    def _spectral(self) -> bool:
        if self.facts.decoder is DecoderKind.SPECTRUM:
            return True
        if self.facts.decoder is DecoderKind.WAVEFORM:
            return False
        raise unhandled(self.facts.decoder)

    def _kept(self, output: np.ndarray, chunk: Chunk, axis: int) -> np.ndarray:
        """What belongs to the frames that a chunk keeps."""
        steps = self.facts.hop_samples // (HOP_SAMPLES if axis == 0 else 1)  # of time, a frame
        if output.shape[axis] != steps * (chunk.read_stop - chunk.read_start):
            raise UserError("the bundle's decoder gives another length than its manifest says; export the bundle again")
        kept = slice(chunk.kept.start * steps, chunk.kept.stop * steps)
        return output[kept] if axis == 0 else output[:, kept]


class _Repeated:
    """A graph of one input that runs on chunk after chunk, all of one shape."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name
        self._bound: tuple[np.ndarray, Bound] | None = None

    def __call__(self, array: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph; the next call overwrites what this one returns."""
        if self._bound is None:
            given = np.empty(array.shape, np.float32)
            self._bound = given, self._engine.bind(**{self._name: given})
        given, bound = self._bound
        given[...] = array
        return bound.run()


def _report(on_chunk: OnChunk | None, chunk: Chunk, frames: int) -> None:
    if on_chunk is not None:
        on_chunk(chunk.stop, frames)
