"""What a user chooses: sampler, steps, guidance and seed, what is known of the song, provider and precision.

Imports neither numpy nor an engine: `--help` needs it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, TypeVar

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter

Choice = TypeVar("Choice", bound=Enum)


class Sampler(str, Enum):
    """Sampling algorithm of the reverse diffusion, see diffusion/samplers.py."""

    ANCESTRAL = "ancestral"
    """DDPM ancestral sampling, the paper's: stochastic, meant for all 800 steps."""
    DDIM = "ddim"
    """DDIM with eta = 0: first order, deterministic."""
    DPM_SOLVER_2M = "dpm++2m"
    """DPM-Solver++(2M): second order, deterministic."""
    UNIPC = "unipc"
    """DPM-Solver++(2M), each step corrected by UniC-1: second order, deterministic, the most accurate at few steps.

    UniC-1 is UniPC's corrector of order 1 (Zhao et al., 2023) with its one coefficient solved exactly, in which B(h)
    cancels. It is not the paper's UniPC-2: that corrects with UniC-2, through one estimate of x_0 more.
    """


class Provider(str, Enum):
    """Inference engine and device, see engines/."""

    AUTO = "auto"
    """The fastest measured on this machine, see tuning/preference.py; CPU before anything was measured."""
    CPU = "cpu"
    """ONNX Runtime on the processor: runs everywhere, and is the reference for all others."""
    OPENVINO = "openvino"
    """OpenVINO on the processor."""
    CUDA = "cuda"
    """ONNX Runtime on an NVIDIA GPU."""
    TENSORRT = "tensorrt"
    """The bundle's own TensorRT engines on an NVIDIA GPU, the sampling loop as one CUDA graph."""
    ORT_TENSORRT = "ort-tensorrt"
    """ONNX Runtime's TensorRT provider."""
    ORT_RTX = "ort-rtx"
    """ONNX Runtime's provider of TensorRT for RTX."""
    DIRECTML = "directml"
    """ONNX Runtime on any GPU under Windows."""
    COREML = "coreml"
    """ONNX Runtime on Apple's processors."""


class Precision(str, Enum):
    """Floating-point type of a graph: as the bundle stores it, or what an engine lowers it to."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


class Flavor(str, Enum):
    """Which TensorRT an engine is for."""

    RTX = "rtx"
    """TensorRT for RTX: built anywhere, runs on any GPU of its targets, compiles its kernels there."""
    CLASSIC = "classic"
    """TensorRT: built on the GPU that it is for."""


DEFAULT_SAMPLER = Sampler.UNIPC
DEFAULT_STEPS = 16
"""Of bundles that ask for no number of their own."""
DEFAULT_SEED = 0
MOST_STEPS = 800


@dataclass(frozen=True)
class Settings:
    """Parameters of one run.

    Raises:
        UserError: one of them is of another type or out of range.
    """

    sampler: Sampler = DEFAULT_SAMPLER
    """Also taken by its value, such as "ddim"."""
    steps: int | None = None
    """Denoising steps per window, at least 1 and at most the bundle's timesteps; None takes the bundle's default."""
    guidance: float | None = None
    """Classifier-free guidance scale, 0 .. 100; 1.0 turns guidance off, None takes the bundle's default."""
    seed: int = DEFAULT_SEED
    """Seed of the noise; its lowest 64 bits count. Equal settings and equal input give equal samples."""
    bpm: float | None = None
    """A constant tempo, 20 .. 400 beats a minute; in 6/8 a beat is a dotted quarter."""
    first_beat_s: float | None = None
    """Where the song's first beat is, in seconds; goes with ``bpm``."""
    meter: Meter | None = None
    """Also taken by its value, such as "3/4"."""
    key: str | None = None
    """Such as "A minor", "F#m" or "Bb"; kept as "A minor"."""
    chords: str | None = None
    """Such as "Am F C G", one a bar, repeated; "Am/C" has another bass, "F:2 G:2" are two beats each."""
    lead_sheet: LeadSheet | None = None
    """All of it; also taken as a JSON or MIDI file's path, which is read at once. The fields above replace parts."""

    if TYPE_CHECKING:

        def __init__(
            self,
            sampler: Sampler | str = DEFAULT_SAMPLER,
            steps: int | None = None,
            guidance: float | None = None,
            seed: int = DEFAULT_SEED,
            bpm: float | None = None,
            first_beat_s: float | None = None,
            meter: Meter | str | None = None,
            key: str | None = None,
            chords: str | None = None,
            lead_sheet: LeadSheet | str | os.PathLike[str] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "sampler", chosen(Sampler, self.sampler, "sampler"))
        object.__setattr__(self, "seed", whole_number(self.seed, "seed"))
        if self.steps is not None:
            object.__setattr__(self, "steps", whole_number(self.steps, "steps"))
            if self.steps < 1:
                raise UserError(f"steps must be at least 1, not {self.steps}")
        scale = self.guidance
        if scale is not None and not (isinstance(scale, Real) and 0 <= scale <= 100):
            raise UserError(f"guidance must lie between 0 and 100, not {scale!r}")
        object.__setattr__(self, "lead_sheet", _sheet(self.lead_sheet))
        given = self.given
        object.__setattr__(self, "meter", given.meter)
        object.__setattr__(self, "key", None if given.key is None else str(given.key))

    @property
    def given(self) -> Given:
        """What is said of the song, as the decoder of lead sheets takes it."""
        return Given.of(self.bpm, self.first_beat_s, self.meter, self.key, self.chords, self.lead_sheet)

    @property
    def stated(self) -> list[str]:
        """The fields that say something of the song."""
        names = ("bpm", "first_beat_s", "meter", "key", "chords", "lead_sheet")
        return [name for name in names if getattr(self, name) is not None]


def _sheet(given: LeadSheet | str | os.PathLike[str] | None) -> LeadSheet | None:
    if given is None or isinstance(given, LeadSheet):
        return given
    if isinstance(given, str | os.PathLike):
        from samuel_runtime.leadsheet.files import read_sheet  # `--help` reads none

        return read_sheet(given)
    raise UserError(f"lead_sheet must be a LeadSheet or a file's path; give one, not {given!r}")


def chosen(choices: type[Choice], value: Choice | str, parameter: str) -> Choice:
    """The member of an enum that a user named, by itself or by its value.

    Raises:
        UserError: there is none; the message names the parameter and lists the choices.
    """
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(str(choice.value) for choice in choices)
        raise UserError(f"{parameter} must be one of {known}, not {value!r}") from None


def whole_number(value: object, parameter: str) -> int:
    """An integer of any type, numpy's included.

    Raises:
        UserError: it is none.
    """
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise UserError(f"{parameter} must be a whole number, not {value!r}") from None
