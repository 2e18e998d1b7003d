"""`samuel-run --doctor`: what can run here, how fast and how faithfully, and the command that adds what cannot."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import Engines, Manifest
from samuel_runtime.cli import console
from samuel_runtime.engines.availability import ProbedBackend, probe_backends
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError, with_options
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_SAMPLER
from samuel_runtime.tuning.agreement import Agreement, GeneratedSample, compare, generated_sample
from samuel_runtime.tuning.measure import measure_speed
from samuel_runtime.tuning.preference import Measurement, engine_versions, fastest, remember
from samuel_runtime.tuning.speed import Speed


@dataclass(frozen=True)
class Trial:
    """One backend, tried."""

    backend: Backend
    missing: str = ""
    """Why it does not run and what to do; empty if it does."""
    load_s: float = 0.0
    """Opening the bundle."""
    speed: Speed | None = None
    """How fast it runs then; None if it does not."""
    agreement: Agreement | None = None
    """With the reference backend; None for the reference itself, or where there is none."""

    @property
    def measurement(self) -> Measurement | None:
        """What is worth remembering."""
        if self.speed is None:
            return None
        error, passed = (0.0, True) if self.agreement is None else (self.agreement.error, self.agreement.passed)
        return Measurement(self.backend, self.load_s, self.speed, error, passed)


def examine(folder: Path | None, threads: int | None, as_json: bool) -> None:
    """Try every backend, print what was found, and remember it for ``--provider auto`` and ``--target-s``.

    Raises:
        UserError: the bundle is not in order, or nothing here can run it.
    """
    bundle = Bundle.open(folder)
    manifest = bundle.manifest
    trials = try_backends(bundle, probe_backends(manifest), threads)
    measurements = [trial.measurement for trial in trials if trial.measurement is not None]
    best = fastest(manifest, measurements)
    if best is None:
        raise UserError(f"{bundle.folder}: nothing here can run it; {trials[0].missing}")
    remembered = threads is None  # what is remembered is for runs with the default number
    if remembered:
        remember(manifest, measurements)
    if as_json:
        text = json.dumps(_report(bundle, trials, best.backend, remembered), indent=1)
    else:
        text = _table(bundle, trials, best.backend, remembered)
    console.tell(with_options(text))


def try_backends(bundle: Bundle, found: list[ProbedBackend], threads: int | None) -> list[Trial]:
    """Try each backend in turn; the first that runs in the bundle's own precision is the reference of the others."""
    trials: list[Trial] = []
    reference: GeneratedSample | None = None
    for backend, missing in ((each.backend, each.missing) for each in found):
        if missing:
            trials.append(Trial(backend, missing))
            continue
        try:
            load_s, speed, made = _tried(bundle, backend, threads)
        except UserError as error:
            trials.append(Trial(backend, str(error)))
            continue
        if reference is not None:
            trials.append(Trial(backend, "", load_s, speed, compare(made, reference)))
        elif backend.precision is bundle.manifest.precision:
            reference = made
            trials.append(Trial(backend, "", load_s, speed))
        else:
            trials.append(Trial(backend, "it runs, but nothing here runs the reference that it must agree with"))
    return trials


def _tried(bundle: Bundle, backend: Backend, threads: int | None) -> tuple[float, Speed, GeneratedSample]:
    """Load and time a bundle on a backend, and generate the sample; on return its memory is free for the next."""
    start = perf_counter()
    samuel = Samuel.load(bundle.folder, backend.provider, threads, backend.precision)
    load_s = perf_counter() - start
    return load_s, measure_speed(samuel), generated_sample(samuel)


def _report(bundle: Bundle, trials: list[Trial], taken: Backend, remembered: bool) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "machine": _machine(),
        "engines": engine_versions(),
        "gpu": _gpu(),
        "bundle": str(bundle.folder),
        "precision": manifest.precision.value,
        "tensorrt": None if manifest.engines is None else _engines(manifest.engines),
        "song": {"duration_s": _window_s(manifest), "sampler": DEFAULT_SAMPLER.value, "steps": manifest.model.steps},
        "backends": [
            {
                **_named(trial.backend),
                "missing": trial.missing,
                "load_s": None if trial.speed is None else trial.load_s,
                "speed": None if trial.speed is None else asdict(trial.speed),
                "song_s": None if trial.speed is None else _song(trial.speed, manifest),
                "agreement": None if trial.agreement is None else trial.agreement.to_dict(),
            }
            for trial in trials
        ],
        "auto": _named(taken),
        "remembered": remembered,
    }


def _table(bundle: Bundle, trials: list[Trial], taken: Backend, remembered: bool) -> str:
    manifest = bundle.manifest
    run = [(trial, trial.speed) for trial in trials if trial.speed is not None]
    engines = ", ".join(f"{name} {version}" for name, version in engine_versions().items())
    gpu = _gpu()
    lines = [
        f"{_machine()}; {engines}",
        f"GPU: {gpu['name'] or 'none to be seen'}, {gpu['missing'] or 'driver for CUDA ' + gpu['driver']}",
        f"bundle {bundle.folder}, {manifest.precision.value}",
        *([] if manifest.engines is None else [f"with TensorRT engines: {_described(manifest.engines)}"]),
        f"a song here is {_window_s(manifest):.1f} s in {manifest.model.steps} steps of {DEFAULT_SAMPLER.value}",
        "",
        *_aligned([("backend", "load", "encode", "step", "decode", "song", f"against {run[0][0].backend}"),
                   *(_row(trial, speed, manifest) for trial, speed in run)]),
        "",
    ]  # fmt: skip
    if len(run) < len(trials):
        rows: list[tuple[str, ...]] = [(str(trial.backend), trial.missing) for trial in trials if trial.speed is None]
        lines += ["not here:", *_aligned(rows), ""]
    note = "" if remembered else " (not remembered, since --threads was given)"
    return "\n".join([*lines, f"--provider auto takes {taken}, the fastest that agrees with the reference{note}"])


def _described(engines: Engines) -> str:
    targets = f"compute capability {', '.join(engines.targets) or '8.0 and newer'}"
    where = engines.built_on or targets
    verdict = "they do not fit, see below" if _engines(engines)["unfit"] else "they fit"
    return f"{engines.flavor.value} {engines.version}, for {where}: {verdict}"


def _row(trial: Trial, speed: Speed, manifest: Manifest) -> tuple[str, ...]:
    song, agreement = _song(speed, manifest), trial.agreement
    words = "the reference"
    if agreement is not None:
        verdict = "agrees" if agreement.passed else "TOO FAR"
        words = f"{verdict}: latents {agreement.latent_snr_db:.0f} dB, log-mel {agreement.log_mel:.3f}"
    return (
        str(trial.backend),
        f"{trial.load_s + speed.first_s:.2f} s",
        f"{song['encode']:.2f} s",
        f"{1e3 * speed.step_s:.1f} ms",
        f"{song['decode']:.2f} s",
        f"{song['total']:.2f} s",
        words,
    )


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table: words to the left in the first and the last column, numbers to the right between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:-1], widths[1:-1]), row[-1]]) for row in rows]


def _song(speed: Speed, manifest: Manifest) -> dict[str, float]:
    """Seconds of each stage of a full window."""
    frames = manifest.model.frames
    fixed, per_step = speed.sampling_s(manifest, frames)
    return {
        "encode": speed.encoding_s(manifest, frames),
        "sample": fixed + manifest.model.steps * per_step,
        "decode": speed.decoding_s(manifest, frames),
        "total": speed.song_s(manifest, frames, manifest.model.steps),
    }


def _window_s(manifest: Manifest) -> float:
    return manifest.model.frames * manifest.codec.hop_samples / manifest.codec.sample_rate_hz


def _named(backend: Backend) -> dict[str, str]:
    return {"provider": backend.provider.value, "precision": backend.precision.value}


def _gpu() -> dict[str, Any]:
    """The NVIDIA GPU, or why there is none to be seen."""
    from samuel_runtime.engines.tensorrt.device import gpu_here

    try:
        gpu = gpu_here()
    except UserError as error:
        return {"name": None, "capability": None, "driver": None, "missing": str(error)}
    return {"name": str(gpu), "capability": list(gpu.capability), "driver": gpu.driver, "missing": ""}


def _engines(engines: Engines) -> dict[str, Any]:
    """The bundle's TensorRT engines, and whether they fit this machine."""
    from samuel_runtime.engines.tensorrt.device import unfit_reason

    return {**engines.model_dump(mode="json", exclude={"files"}), "unfit": unfit_reason(engines)}


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
