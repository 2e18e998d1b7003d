"""`--target-s`: sampler, steps and backend that come closest to the model's own result within a time budget.

Two errors keep a take from what the model, sampled without end in full precision, would give: too few steps
(sampling_error.py) and lowered arithmetic (measured by `--doctor`). Both are relative L2 distances of the latents and
have nothing to do with each other, so their squares add up; the choice is the least sum that fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from samuel_runtime.audio.reading import Recording
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.engines.availability import unavailable_reason
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel, frames_of
from samuel_runtime.settings import Precision, Provider, Sampler
from samuel_runtime.tuning import sampling_error
from samuel_runtime.tuning.measure import measure_speed, paced
from samuel_runtime.tuning.preference import Measurement, recall

_RESERVE = 1.1
"""Predictions are made from the best of several runs, and a real run is not always the best."""


@dataclass(frozen=True)
class Target:
    """A time budget, and what the user has decided already."""

    seconds: float
    """For the whole command: reading, loading and every take; not the plots of --diagnostics."""
    sampler: Sampler | None = None
    """Kept if given."""
    steps: int | None = None
    """Kept if given."""

    def __post_init__(self) -> None:
        if not 0 < self.seconds < np.inf:
            raise UserError(f"--target-s {self.seconds:g}: must lie between 0 and as long as you can wait, in seconds")
        measured = sampling_error.SAMPLING_ERROR
        if self.sampler is not None and self.sampler not in measured:
            raise UserError(
                f"--target-s: what fewer steps cost is not known of --sampler {self.sampler.value}; "
                f"choose {' or '.join(known.value for known in measured)}, or leave one of the two out"
            )

    def outcome(self, total_s: float) -> dict[str, Any]:
        """The budget beside what a command took, plain values for JSON."""
        return {"target_s": self.seconds, "total_s": round(total_s, 4), "met": total_s <= self.seconds}


@dataclass(frozen=True)
class Work:
    """What a command has to make."""

    manifest: Manifest
    """Of the bundle."""
    voices: tuple[int, ...]
    """Frames of each voice, encoded once."""
    takes: tuple[int, ...]
    """Frames of each take."""
    files_s: float
    """Seconds that reading and writing audio will take."""

    @classmethod
    def of(cls, takes: list[tuple[Recording, int]], manifest: Manifest, read_s: float) -> Work:
        """The work of some takes.

        Args:
            takes: each one's voice, and how often audio of its length is read or written for it.
            manifest: of the bundle.
            read_s: seconds that it took to read all voices once.
        """
        frames = {id(voice): frames_of(manifest, voice) for voice, _ in takes}
        files = sum(passes for _, passes in takes) / len(frames)
        return cls(manifest, tuple(frames.values()), tuple(frames[id(voice)] for voice, _ in takes), files * read_s)

    def seconds(self, measurement: Measurement) -> tuple[float, float]:
        """Predicted seconds on a backend once it is loaded: a fixed part, and a part per step."""
        speed, fixed, per_step = measurement.speed, self.files_s, 0.0
        for frames in self.voices:
            fixed += speed.encoding_s(self.manifest, frames)
        for frames in self.takes:
            window_s, step_s = speed.sampling_s(self.manifest, frames)
            fixed += window_s + speed.decoding_s(self.manifest, frames)
            per_step += step_s
        return speed.first_s + _RESERVE * fixed, _RESERVE * per_step


@dataclass(frozen=True)
class Plan:
    """What was chosen."""

    backend: Backend
    """Where it runs."""
    sampler: Sampler
    """How latents are drawn."""
    steps: int
    """Denoising steps per window."""
    seconds: float
    """Predicted for the whole command."""
    error: float
    """Relative L2 distance to the many-step limit in full precision, as far as it was measured."""
    fits: bool
    """Whether the budget should be met."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "provider": self.backend.provider.value,
            "precision": self.backend.precision.value,
            "sampler": self.sampler.value,
            "steps": self.steps,
            "predicted_s": round(self.seconds, 4),
            "distance_to_limit": round(self.error, 4),
        }

    def explained(self, target: Target) -> str:
        """One line for the user."""
        what = f"{self.steps} steps of {self.sampler.value} on {self.backend}"
        if not self.fits:
            return f"warning: --target-s {target.seconds:g} is too short: {what} will take about {self.seconds:.1f} s"
        return (
            f"--target-s {target.seconds:g}: {what}, about {self.seconds:.1f} s; of what fits, the nearest to the "
            f"many-step limit ({self.error:.1%} off)"
        )


def measured_backends(
    manifest: Manifest, provider: Provider, precision: Precision | None, threads: int | None
) -> list[Measurement]:
    """What `--doctor` measured, agrees with the reference, can still run, and is what the options ask for."""
    if threads is not None:
        return []  # measured with another number
    return [
        m
        for m in recall(manifest) or []
        if m.passed
        and provider in (Provider.AUTO, m.backend.provider)
        and precision in (None, m.backend.precision)
        and not unavailable_reason(m.backend, manifest)
    ]


def measured_now(samuel: Samuel, known: list[Measurement], work: Work) -> Measurement:
    """The bundle's own backend: what `--doctor` measured at today's pace, or else measured here and now."""
    for measurement in known:
        if measurement.backend == samuel.backend:
            frames = min(max(work.takes), samuel.manifest.model.frames)
            return replace(measurement, speed=paced(measurement.speed, samuel, frames))
    speed = replace(measure_speed(samuel), first_s=0.0)  # the first runs are done now
    return Measurement(samuel.backend, load_s=0.0, speed=speed, error=0.0, passed=True)


def plan(target: Target, measurements: list[Measurement], work: Work, elapsed_s: float, *, loaded: bool) -> Plan:
    """Choose among measured backends and the samplers of sampling_error.py.

    Args:
        target: the budget; what it fixes is kept.
        measurements: of the backends to choose from, at least one.
        work: what is to be made.
        elapsed_s: what the command has taken so far.
        loaded: whether the bundle is open, so that loading is no longer to come.

    Returns:
        The plan with the least error of those that fit, else the one that is done soonest.
    """
    plans = []
    for measurement in measurements:
        fixed_s, step_s = work.seconds(measurement)
        fixed_s += elapsed_s + (0.0 if loaded else measurement.load_s)
        for sampler in [target.sampler] if target.sampler else sampling_error.SAMPLING_ERROR:
            steps = target.steps or _steps_within(target.seconds - fixed_s, step_s, work.manifest.model.timesteps)
            error = float(np.hypot(sampling_error.distance(sampler, steps), measurement.error))
            total_s = fixed_s + steps * step_s
            plans.append(Plan(measurement.backend, sampler, steps, total_s, error, total_s <= target.seconds))
    fitting = [each for each in plans if each.fits]
    if fitting:
        return min(fitting, key=lambda each: (each.error, each.seconds))
    return min(plans, key=lambda each: (each.seconds, each.error))


def _steps_within(left_s: float, step_s: float, timesteps: int) -> int:
    most = min(sampling_error.MOST_STEPS, timesteps)
    return int(np.clip(left_s / step_s, min(sampling_error.FEWEST_STEPS, most), most))
