"""All that a run needs to continue as if nothing had happened, in one file that is replaced whole.

Random numbers need no state: batches and noise are functions of (seed, step).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing
from samuel_train.model.checkpoint import with_current_weights


@dataclass
class RunState:
    """Where a run stands after ``step`` optimiser steps."""

    data: str
    """Digest of the latents the run belongs to."""
    statistics: dict[str, Any]
    """By which it normalises them, as plain values."""
    start: dict[str, str] = field(default_factory=dict)
    """Provenance of the checkpoint that it began with, empty if with none."""
    step: int = 0
    """Optimiser steps done."""
    elapsed_s: float = 0.0
    """Time spent, over all resumptions."""
    best: float = float("inf")
    """Lowest validation loss so far."""
    stale: int = 0
    """Validations since then."""
    losses: list[float] = field(default_factory=list)
    """Losses since the last line of metrics."""
    model: dict[str, Any] = field(default_factory=dict)
    """State dict of the trained network."""
    ema: dict[str, Any] = field(default_factory=dict)
    """State dict of its running average."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    """State dict of the optimiser."""
    scaler: dict[str, Any] = field(default_factory=dict)
    """State dict of the fp16 loss scaler, empty without one."""


def save_state(path: Path, state: RunState) -> None:
    """Write ``state`` whole or not at all."""
    with replacing(path) as temporary:
        torch.save({entry.name: getattr(state, entry.name) for entry in fields(state)}, temporary)


def load_state(path: Path) -> RunState:
    """Read what :func:`save_state` wrote; nothing in the file is executed.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found, so there is no run to continue; leave --resume out to start one")
    try:
        state = RunState(**torch.load(path, map_location="cpu", weights_only=True))
        state.model, state.ema = with_current_weights(state.model), with_current_weights(state.ema)
        return state
    except (AttributeError, RuntimeError, TypeError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: cannot be read; start a new run without --resume ({error})") from error
