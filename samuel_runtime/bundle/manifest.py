"""`bundle.json`: what a bundle says of itself, typed, bounded and strict about unknown keys."""

from __future__ import annotations

import json
import re
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.schedule import Prediction
from samuel_runtime.errors import UserError
from samuel_runtime.files import is_folder
from samuel_runtime.leadsheet.raster import CHANNELS as SHEET_CHANNELS
from samuel_runtime.settings import DEFAULT_STEPS, Flavor, Precision

SCHEMA_VERSION = 7
_OLDEST_SCHEMA_VERSION = 2
"""Without engines; version 3 without spectral decoders, 4 without lead sheets, 5 without estimators of chords alone, 6
without a number of steps and what is done to the sound of bands."""
MANIFEST_NAME = "bundle.json"
_LARGEST_MANIFEST_BYTES = 4 << 20
_LARGEST_GRAPH_BYTES = 2 << 30  # the most that one protobuf can hold
_MOST_VALUES = 1 << 28
"""In any one array that the facts together call for: 1 GiB of float32; Stable Audio Open's largest has a tenth."""
_BARE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

Positive = Annotated[int, Field(gt=0, le=1 << 20)]


class GraphName(str, Enum):
    """The graphs of a bundle, by how often they run."""

    ENCODER = "encoder"
    """Waveform to latents."""
    CONDITIONING = "conditioning"
    """Once per window: what depends on the vocals alone."""
    TIMESTEPS = "timesteps"
    """Once per schedule: what depends on the timestep alone."""
    STEP = "step"
    """Once per step: the network, guidance inside."""
    DECODER = "decoder"
    """Latents to waveform or spectrum."""
    ESTIMATOR = "estimator"
    """Once per song: features of the melody to activations of beats, chords and key."""
    CHORDS = "chords"
    """Once per song: the melody on its beats to activations of chords and key."""


OPTIONAL_GRAPHS = (GraphName.ESTIMATOR, GraphName.CHORDS)
"""Without an estimator a bundle only hears no lead sheet; without that of chords the first one hears them, too."""
REQUIRED_GRAPHS = tuple(name for name in GraphName if name not in OPTIONAL_GRAPHS)
"""What every bundle has."""
ENGINE_GRAPHS = frozenset({GraphName.ENCODER, GraphName.CONDITIONING, GraphName.STEP, GraphName.DECODER})
"""Graphs that have an engine in a bundle with engines; timesteps run once per schedule, on the processor."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class ModelFacts(_Strict):
    """What the sampling loop must know of the denoiser."""

    prediction: Prediction
    """What its output means."""
    timesteps: Positive
    """Length of its cosine schedule."""
    latent_channels: Positive
    """Channels of its latents."""
    frames: Positive
    """Frames of a full window."""
    frames_min: Positive
    """Shortest window it was trained on; shorter songs are padded with silence."""
    frames_multiple: Positive
    """A window's length is a multiple of this."""
    guidance: Annotated[float, Field(ge=0, le=100)]
    """Default classifier-free guidance scale."""
    guided_down_to: Annotated[int, Field(ge=0)] = 0
    """The lowest timestep that is guided, see :class:`samuel_runtime.diffusion.guidance.Guidance`."""
    steps: Positive = DEFAULT_STEPS
    """Default number of denoising steps."""
    side_gain_db: Annotated[float, Field(ge=-12, le=12)] = 0.0
    """What the side signal of its bands is raised by, if they are narrower than true ones."""
    peak_ceiling: Annotated[float, Field(ge=0.1, le=100)] | None = None
    """Which no peak of its bands reaches, of full scale; None leaves them as they are."""
    sheet_channels: int = 0
    """Channels of the lead sheet that its conditioning takes, those of leadsheet/raster.py; 0 takes none."""
    statistics: dict[str, Any]
    """See :class:`samuel_runtime.bundle.statistics.Statistics`."""

    def guided(self, scale: float | None = None) -> Guidance:
        """How this model is guided, by its default scale or another."""
        return Guidance(self.guidance if scale is None else scale, self.guided_down_to)

    def denoising_steps(self, wanted: int | None = None) -> int:
        """How many it is sampled in, its default number or another."""
        return self.steps if wanted is None else wanted

    @model_validator(mode="after")
    def _consistent(self) -> ModelFacts:
        try:
            channels = Statistics.from_dict(self.statistics).channels
        except UserError as error:
            raise ValueError(str(error)) from error
        if channels != self.latent_channels or self.latent_channels % 4:
            raise ValueError(f"{channels} statistics for {self.latent_channels} latent channels (a multiple of 4)")
        if self.sheet_channels not in (0, SHEET_CHANNELS):
            raise ValueError(f"{self.sheet_channels} channels of a lead sheet; this software has {SHEET_CHANNELS}")
        if self.frames * self.latent_channels > _MOST_VALUES:
            raise ValueError(f"{self.frames} frames of {self.latent_channels} channels are too many for one window")
        if self.frames % self.frames_multiple or not self.frames_min <= self.frames:
            raise ValueError("frames must be a multiple of frames_multiple and at least frames_min")
        return self


class DecoderKind(str, Enum):
    """What a codec's decoder graph gives."""

    WAVEFORM = "waveform"
    """The sound itself."""
    SPECTRUM = "spectrum"
    """Levels and frequencies without phases, see :class:`samuel_runtime.codec.Spectrum`."""


class CodecFacts(_Strict):
    """What the chunked codec must know of its two graphs."""

    sample_rate_hz: Annotated[int, Field(ge=8_000, le=192_000)]
    """Rate of the waveform."""
    hop_samples: Positive
    """Samples of one latent frame."""
    channels: Annotated[int, Field(ge=1, le=8)]
    """Waveform channels."""
    encoder_context_frames: Annotated[int, Field(ge=0, le=4096)]
    """Frames around a chunk that make its encoding exact."""
    decoder_context_frames: Annotated[int, Field(ge=0, le=4096)]
    """Frames around a chunk that make its decoding exact."""
    chunk_frames: Positive
    """New frames of one chunk."""
    decoder: DecoderKind = DecoderKind.WAVEFORM
    """What the decoder graph gives; bundles before schema version 4 know waveforms alone."""
    lowerable: bool = False
    """Whether an engine may compute its float32 graphs in less; not if they pass through spectra, see
    engines/availability.py."""


class TensorFacts(_Strict):
    """An input or output of a graph."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    """Sizes, or names of the axes that vary."""


class FileFacts(_Strict):
    """One file of the bundle."""

    file: str
    """Bare file name."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the whole file."""
    size_bytes: Annotated[int, Field(gt=0, le=_LARGEST_GRAPH_BYTES)]
    """Of the whole file."""

    @field_validator("file")
    @classmethod
    def _bare(cls, value: str) -> str:
        if not _BARE_NAME.fullmatch(value):
            raise ValueError(f"{value!r} is not a bare file name, and nothing outside the bundle is read")
        return value


class GraphFacts(FileFacts):
    """An ONNX file."""

    precision: Precision
    """Arithmetic of the graph."""
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]


class ShapeRange(_Strict):
    """Shapes that an engine takes for one of its inputs."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    """The one that its kernels were chosen for."""
    most: tuple[int, ...]


class EngineFacts(FileFacts):
    """A TensorRT engine."""

    profiles: Annotated[tuple[dict[str, ShapeRange], ...], Field(min_length=1)]
    """Ranges of its inputs' shapes; kernels were chosen for each."""
    build_s: Annotated[float, Field(ge=0)]
    """How long building it took."""
    source_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the typed ONNX graph that it was built from; the same one need not be built again."""


class Engines(_Strict):
    """The bundle's TensorRT engines, built together."""

    flavor: Flavor
    """The library that they are for."""
    version: str
    """Of the library that built them; no other loads them."""
    precision: Precision
    """What their heavy arithmetic is typed in."""
    targets: tuple[str, ...]
    """Compute capabilities that they were built for, such as "8.6"; empty for 8.0 and newer."""
    built_on: str
    """The GPU that they were built on, and for; empty for engines that are built without one."""
    files: dict[GraphName, EngineFacts]
    """By graph."""

    @model_validator(mode="after")
    def _whole(self) -> Engines:
        if set(self.files) != ENGINE_GRAPHS:
            raise ValueError(f"engines for {sorted(name.value for name in self.files)}, not for the four graphs")
        return self


class Manifest(_Strict):
    """The whole of `bundle.json`."""

    schema_version: int
    model: ModelFacts
    codec: CodecFacts
    graphs: dict[GraphName, GraphFacts]
    engines: Engines | None = None
    """Beside the graphs, which are what they were built from and what runs where they cannot."""
    parity: dict[str, Any]
    """The report that admitted the bundle, see samuel_export/parity/compare.py."""
    provenance: dict[str, str]
    """How the weights came to be, and their licence."""

    @model_validator(mode="after")
    def _complete(self) -> Manifest:
        missing = [name.value for name in REQUIRED_GRAPHS if name not in self.graphs]
        if missing:
            raise ValueError(f"no graph called {', '.join(missing)}")
        codec = self.codec
        frames = 2 * codec.chunk_frames + 2 * max(codec.encoder_context_frames, codec.decoder_context_frames)
        if frames * max(codec.hop_samples * codec.channels, self.model.latent_channels) > _MOST_VALUES:
            raise ValueError(
                f"chunks of {codec.chunk_frames} frames of {codec.hop_samples} samples and {codec.channels} channels "
                "with their context are too large"
            )
        if self.model.frames_min * codec.hop_samples > _MOST_VALUES:
            raise ValueError(f"{self.model.frames_min} frames of {codec.hop_samples} samples are no shortest window")
        return self

    @property
    def precision(self) -> Precision:
        """The arithmetic that the bundle's graphs are typed in: that of the step graph, which does the work."""
        return self.graphs[GraphName.STEP].precision

    @cached_property
    def statistics(self) -> Statistics:
        """The latents' statistics as arrays."""
        return Statistics.from_dict(self.model.statistics)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check `bundle.json` of a bundle.

        Raises:
            UserError: missing, oversized, not JSON, of a newer schema, or wrong in any field.
        """
        path = folder / MANIFEST_NAME
        if not is_folder(folder):
            raise UserError(f"{folder}: no such bundle folder; make one with `samuel-export`, or leave `bundle` out")
        if not path.is_file():
            raise UserError(f"{folder}: is not a bundle ({MANIFEST_NAME} is missing); copy it again, whole")
        if path.stat().st_size > _LARGEST_MANIFEST_BYTES:
            raise UserError(f"{path}: far too large for a manifest; copy the bundle again")
        try:
            values = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: is not JSON ({error}); copy the bundle again") from error
        version = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise UserError(
                f"{path}: schema version {version} is newer than this software's {SCHEMA_VERSION}; "
                "upgrade with `pip install -U samuel-deploy`"
            )
        if version not in range(_OLDEST_SCHEMA_VERSION, SCHEMA_VERSION + 1):
            raise UserError(f"{path}: has no schema version {SCHEMA_VERSION}; export the bundle again")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "manifest"
            raise UserError(f"{path}: {where}: {first['msg']}; export the bundle again") from error

    def to_json(self) -> str:
        """Text of `bundle.json`."""
        return self.model_dump_json(indent=1) + "\n"
