"""Settings of a training run: frozen, read from TOML; unknown keys are refused."""

from __future__ import annotations

import difflib
import sys
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from samuel_runtime.errors import UserError
from samuel_train.fit.objective import PUBLISHED_WEIGHTS
from samuel_train.model.config import FORMER_KEYS, FRAMES_MULTIPLE, ModelConfig, with_current_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class MixedPrecision(str, Enum):
    """Arithmetic of the forward pass; weights and their updates stay float32."""

    AUTO = "auto"
    """bf16 where the device computes in it natively, else no."""
    NO = "no"
    BF16 = "bf16"
    FP16 = "fp16"


@dataclass(frozen=True)
class FitConfig:
    """One training run; the defaults are the paper's where it names a value."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """The network to train."""
    seed: int = 0
    """Decides the split, the initial weights, the order of songs, the crops and the noise."""
    epochs: int = 100
    """Passes over the training split."""
    max_steps: int | None = None
    """Optimiser steps, instead of ``epochs``; the learning rate is annealed over them."""
    max_minutes: float | None = None
    """Stop after so much time; the learning rate is annealed over it if it is the tighter limit."""
    batch: int = 32
    """Examples in a step, over all processes together."""
    frames_min: int = 256
    """Shortest crop; every batch has a length of its own."""
    frames_max: int = 1024
    """Longest crop; one entry of the latents."""
    learning_rate: float = 3.5e-4
    """AdamW's learning rate at the start."""
    learning_rate_end: float = 1e-7
    """Learning rate at the end of the cosine."""
    weight_decay: float = 0.01
    """AdamW's decoupled weight decay."""
    gradient_norm_max: float = 1.0
    """Gradients are scaled down to this norm."""
    ema_decay: float = 0.995
    """Decay of the running average of the weights, which is what gets saved."""
    condition_dropout: float = 0.1
    """Probability that an example is trained without its vocals, for classifier-free guidance."""
    voice_noise: float = 0.0
    """Most noise on the vocals, as a standard deviation; each example has its own. Real voices differ from those of
    songs that were made."""
    weight_min: float = PUBLISHED_WEIGHTS[0]
    """Least weight of an example's error, for networks that predict v; see fit/objective.py."""
    weight_max: float = PUBLISHED_WEIGHTS[1]
    """Largest weight of an example's error."""
    auxiliary_weight: float = 1.0
    """Weight of the auxiliary loss: how well the vocal context predicts beats and chords, where those are annotated."""
    auxiliary_steps: int = 0
    """Steps at the start that train the vocal context encoder alone, by the auxiliary loss; they are short."""
    auxiliary_learning_rate: float = 2e-3
    """Learning rate of those steps."""
    vocal_context_dropout: float = 0.0
    """Dropout probability of the vocal context encoder's channels."""
    sheet_dropout: float = 0.15
    """Probability that an example with a voice is trained without its lead sheet."""
    sheet_faults: float = 0.7
    """Probability that a lead sheet has faults as estimates have, see fit/imperfect_sheets.py."""
    validation_fraction: float = 0.2
    """Share of the songs that is held out."""
    validation_examples: int = 32
    """At most so many held-out entries are validated on, the same every time."""
    validate_every_steps: int | None = None
    """Steps between validations; by default once an epoch, but 100 steps apart at least."""
    patience: int = 30
    """Validations without improvement before the run ends."""
    mixed_precision: MixedPrecision = MixedPrecision.AUTO
    """Arithmetic of the forward pass."""
    save_every_minutes: float = 5.0
    """Time between saves of the state that --resume continues from, and of the plots."""
    log_every_steps: int = 10
    """Steps between lines of metrics.jsonl."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mixed_precision", _mixed_precision(self.mixed_precision))
        for name, (kind, low, high, optional) in _RANGES.items():
            value = getattr(self, name)
            if value is None and optional:
                continue
            numeric = isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
            if not numeric or not low <= value <= high:
                article = "an integer" if kind is int else "a number"
                raise UserError(f"fit config: {name} must be {article} from {low} to {high}, not {value!r}")
        if self.frames_min > self.frames_max:
            raise UserError("fit config: frames_min must not exceed frames_max")
        if self.weight_min > self.weight_max:
            raise UserError("fit config: weight_min must not exceed weight_max")
        for name in ("frames_min", "frames_max"):
            if getattr(self, name) % FRAMES_MULTIPLE:
                raise UserError(f"fit config: {name} must be a multiple of {FRAMES_MULTIPLE}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FitConfig:
        """Rebuild from ``{"model": {...}, "fit": {...}}``, the layout of the TOML file.

        Raises:
            UserError: for an unknown table or key, with the nearest valid one, or a value out of range.
        """
        _refuse_unknown("table", values, {"model", "fit"})
        for table, entries in values.items():
            if not isinstance(entries, dict):
                raise UserError(f"config: {table} must be a table, written [{table}]")
        fit = with_current_names(values.get("fit", {}), _FORMER_KEYS)
        _refuse_unknown("key in [fit]", fit, {entry.name for entry in fields(cls)} - {"model"})
        model = with_current_names(values.get("model", {}), FORMER_KEYS)
        _refuse_unknown("key in [model]", model, {entry.name for entry in fields(ModelConfig)})
        return cls(model=ModelConfig.from_dict(model), **fit)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, by table."""
        fit = {key: value.value if isinstance(value, Enum) else value for key, value in asdict(self).items()}
        return {"model": self.model.to_dict(), "fit": {k: v for k, v in fit.items() if k != "model"}}


_FORMER_KEYS = {
    "guess_weight": "auxiliary_weight",
    "listening_steps": "auxiliary_steps",
    "listening_learning_rate": "auxiliary_learning_rate",
    "listener_dropout": "vocal_context_dropout",
}
"""Keys of [fit] in configs and runs of earlier versions, and what they are called now."""

_RANGES: dict[str, tuple[type, float, float, bool]] = {
    "seed": (int, 0, 2**63 - 1, False),
    "epochs": (int, 1, 10**6, False),
    "max_steps": (int, 1, 10**9, True),
    "max_minutes": (float, 0.01, 10**6, True),
    "batch": (int, 1, 65536, False),
    "frames_min": (int, FRAMES_MULTIPLE, 1024, False),
    "frames_max": (int, FRAMES_MULTIPLE, 1024, False),
    "learning_rate": (float, 0, 1, False),
    "learning_rate_end": (float, 0, 1, False),
    "weight_decay": (float, 0, 1, False),
    "gradient_norm_max": (float, 1e-6, 1e6, False),
    "ema_decay": (float, 0, 0.999999, False),
    "condition_dropout": (float, 0, 1, False),
    "voice_noise": (float, 0, 10, False),
    "weight_min": (float, 0, 1000, False),
    "weight_max": (float, 1e-6, 1000, False),
    "auxiliary_weight": (float, 0, 1000, False),
    "auxiliary_steps": (int, 0, 10**9, False),
    "auxiliary_learning_rate": (float, 0, 1, False),
    "vocal_context_dropout": (float, 0, 0.9, False),
    "sheet_dropout": (float, 0, 1, False),
    "sheet_faults": (float, 0, 1, False),
    "validation_fraction": (float, 0.001, 0.9, False),
    "validation_examples": (int, 1, 65536, False),
    "validate_every_steps": (int, 1, 10**9, True),
    "patience": (int, 1, 10**9, False),
    "save_every_minutes": (float, 0, 10**6, False),
    "log_every_steps": (int, 1, 10**6, False),
}
"""Field -> kind, smallest and largest value, whether None is one."""


def load_settings(path: Path) -> FitConfig:
    """Read a TOML file with the tables ``[model]`` and ``[fit]``.

    Raises:
        UserError: if it cannot be read, is no TOML, or holds an unknown key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give a TOML file with --config") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML ({error}); mend that line") from error
    try:
        return FitConfig.from_dict(values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _refuse_unknown(what: str, values: dict[str, Any], known: set[str]) -> None:
    for name in sorted(set(values) - known):
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
        raise UserError(f"config: unknown {what}: {name}; {hint}")


def _mixed_precision(value: Any) -> MixedPrecision:
    try:
        return MixedPrecision(value)
    except ValueError as error:
        names = ", ".join(kind.value for kind in MixedPrecision)
        raise UserError(f"fit config: mixed_precision must be one of {names}, not {value!r}") from error
