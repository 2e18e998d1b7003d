"""The runners of a codec's two halves: PyTorch and the runtime's backends; and a long song in a process of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from benchmarks.measuring.machine import this_machine
from benchmarks.measuring.pairs import Runner, Work
from benchmarks.measuring.process import Finished, run_script
from benchmarks.runners.denoisers import BACKENDS, EAGER
from samuel_export import flops
from samuel_export.graphs.codec import decoder_graph, encoder_graph
from samuel_export.metadata import chunk_frames
from samuel_runtime.bundle.manifest import CodecFacts, GraphName
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider
from samuel_train.codec import Codec, decoder_context_frames, encoder_context_frames
from samuel_train.codec.model.oobleck import OobleckCodec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig

LIMITS = {Precision.FP32: 1e-5, Precision.BF16: 3e-2}
"""Largest relative L2 against PyTorch: rounding alone is 1e-6 in float32, 1e-2 in bfloat16."""
RUNNERS = (
    EAGER,
    *(name for name, backend in BACKENDS.items() if backend.provider in (Provider.CPU, Provider.OPENVINO)),
)

_INPUTS = {GraphName.ENCODER: "waveform", GraphName.DECODER: "latents"}
_SNAKE_SPREAD = 0.1


def stable_audio_open() -> OobleckCodec:
    """Stable Audio Open's autoencoder in its true size, with random weights; Snakes that are not all alike."""
    from diffusers import AutoencoderOobleck

    torch.manual_seed(0)
    autoencoder = AutoencoderOobleck().eval()  # diffusers' defaults are its sizes
    with torch.no_grad():
        for name, parameter in autoencoder.named_parameters():
            if name.endswith((".alpha", ".beta")):
                parameter.normal_(0, _SNAKE_SPREAD)
    return OobleckCodec(autoencoder, provenance="random, for benchmarks")


def packaged_size() -> SmallCodec:
    """The small codec in the packaged bundle's size, with random weights."""
    torch.manual_seed(0)
    return SmallCodec(SmallCodecConfig(), provenance="random, for benchmarks").eval()


@dataclass(frozen=True, eq=False)
class Halves:
    """A codec with its graphs in files."""

    codec: Codec
    folder: Path
    frames: int
    """Of one timed call."""

    @cached_property
    def audio_s(self) -> float:
        """What one timed call encodes or decodes."""
        return self.frames * self.codec.facts.hop_samples / self.codec.facts.sample_rate_hz

    @cached_property
    def graphs(self) -> dict[GraphName, Path]:
        """Files of both graphs."""
        paths = {}
        for name, graph in ((GraphName.ENCODER, encoder_graph), (GraphName.DECODER, decoder_graph)):
            paths[name] = self.folder / f"{name.value}.onnx"
            onnx.save(graph(self.codec), paths[name])
        return paths

    def input(self, name: GraphName) -> np.ndarray:
        """What one timed call is given, (1, channels, length)."""
        facts = self.codec.facts
        shape = {
            GraphName.ENCODER: (1, facts.channels, self.frames * facts.hop_samples),
            GraphName.DECODER: (1, facts.latent_channels, self.frames),
        }[name]
        return (0.3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)

    def open(self, name: GraphName, runner: str) -> Runner:
        """A runner of the encoder or decoder; the calling test is skipped where this machine has no such runner."""
        if runner == EAGER:
            module = self._module(name)
            given = torch.from_numpy(self.input(name))
            return Runner(runner, torch.no_grad()(lambda: _first(module(given)).numpy()), self._module_flop(name))
        return Runner(runner, self._runtime(name, BACKENDS[runner]), self._graph_flop(name))

    def _module(self, name: GraphName) -> torch.nn.Module:
        return self.codec.encoder if name is GraphName.ENCODER else self.codec.decoder

    def _runtime(self, name: GraphName, backend: Backend) -> Work:
        given = self.input(name)
        try:
            engine = open_engine(self.graphs[name].read_bytes(), name.value, backend, torch.get_num_threads())
        except (UserError, ImportError) as error:
            pytest.skip(str(error))
        bound = engine.bind(**{_INPUTS[name]: given})
        return lambda: bound.run()[engine.outputs[0]]

    @cache  # noqa: B019 - as long as the session
    def _module_flop(self, name: GraphName) -> float:
        return float(flops.of_module(self._module(name), torch.from_numpy(self.input(name))))

    @cache  # noqa: B019 - as long as the session
    def _graph_flop(self, name: GraphName) -> float:
        return float(flops.of_graph(onnx.load(self.graphs[name]), {_INPUTS[name]: self.input(name)}))

    def long_song(self, backend: Backend, frames: int) -> Finished:
        """Encode and decode a song in chunks, as `samuel-run` does, in a process of its own."""
        facts = self.codec.facts
        sizes = CodecFacts(
            sample_rate_hz=facts.sample_rate_hz, hop_samples=facts.hop_samples, channels=facts.channels,
            encoder_context_frames=max(encoder_context_frames(self.codec)),
            decoder_context_frames=max(decoder_context_frames(self.codec)),
            chunk_frames=chunk_frames(self.codec), decoder=facts.decoder,
        )  # fmt: skip
        settings: dict[str, Any] = {
            "facts": sizes.model_dump(), "latent_channels": facts.latent_channels, "frames": frames,
            "graphs": {name.value: str(path) for name, path in self.graphs.items()},
            "provider": backend.provider.value, "precision": backend.precision.value, "threads": this_machine().threads,
        }  # fmt: skip
        return run_script(_LONG_SONG, json.dumps(settings))


def _first(outputs: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
    """The only output, or the first of several, as the graph has them in order."""
    return outputs if isinstance(outputs, torch.Tensor) else next(iter(outputs.values()))


_LONG_SONG = """
import json, sys
from pathlib import Path
import numpy as np
from samuel_runtime.bundle.manifest import CodecFacts
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.codec.codec import Codec, CodecEngines
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_engine
from samuel_runtime.settings import Precision, Provider

told = json.loads(sys.argv[1])
facts = CodecFacts(**told["facts"])
backend = Backend(Provider(told["provider"]), Precision(told["precision"]))
zero, one = np.zeros(told["latent_channels"]), np.ones(told["latent_channels"])

def open_graph(name):
    return open_engine(Path(told["graphs"][name.value]).read_bytes(), name.value, backend, told["threads"])

codec = Codec(CodecEngines(open_graph, together=False), facts, Statistics(zero, one, zero, one, -5.0, 5.0))
noise = np.random.default_rng(0)
blocks = (noise.normal(0, 0.3, (facts.hop_samples, facts.channels)).astype(np.float32) for _ in range(told["frames"]))
latents = codec.encode(blocks, told["frames"])
print(sum(len(block) for block in codec.decode(latents)))
"""
