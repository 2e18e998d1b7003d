"""`samuel-run --doctor`: what can run here, how fast each way is, and the command that mends what cannot."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import onnxruntime

from samuel_runtime.bundle import Bundle
from samuel_runtime.choices import Provider
from samuel_runtime.engines.onnx import INSTALL, available_providers
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.preference import remember
from samuel_runtime.speed import Speed, measure_speed


@dataclass(frozen=True)
class Way:
    """One way to run the bundle on this machine."""

    provider: Provider
    """Where it would run."""
    speed: Speed | None
    """How fast, or None if it does not run."""
    remedy: str
    """Why it does not run and what to do; empty if it does."""


def examine(folder: Path | None, threads: int | None, as_json: bool) -> None:
    """Try and time every way, print what was found, and remember the fastest for ``--provider auto``.

    Raises:
        UserError: the bundle is not in order.
    """
    bundle = Bundle.open(folder)
    ways = [_tried(bundle.folder, provider, threads) for provider in Provider if provider is not Provider.AUTO]
    running = {way.provider: way.speed for way in ways if way.speed is not None}
    if not running:
        raise UserError(f"{bundle.folder}: nothing here can run it; {ways[0].remedy}")
    fastest = min(running, key=lambda provider: running[provider].step_s)
    remember(bundle, fastest)
    if as_json:
        found = [
            {"provider": w.provider.value, "speed": asdict(w.speed) if w.speed else None, "remedy": w.remedy}
            for w in ways
        ]
        click.echo(
            json.dumps(
                {"machine": _machine(), "bundle": str(bundle.folder), "ways": found, "auto": fastest.value}, indent=1
            )
        )
        return
    click.echo(f"{_machine()}\nbundle {bundle.folder}")
    for way in ways:
        click.echo(f"  {way.provider.value:<10}{_times(way.speed) if way.speed else way.remedy}")
    click.echo(f"--provider auto takes {fastest.value}, the fastest")


def _tried(folder: Path, provider: Provider, threads: int | None) -> Way:
    if provider not in available_providers():
        return Way(provider, None, f"not in this ONNX Runtime; add it with `{INSTALL[provider]}`")
    try:
        return Way(provider, measure_speed(Samuel.load(folder, provider, threads)), "")
    except UserError as error:
        return Way(provider, None, str(error))


def _times(speed: Speed) -> str:
    step, encode, decode = (1e3 * s for s in (speed.step_s, speed.encode_s, speed.decode_s))
    return f"step {step:.1f} ms, encode {encode:.0f} ms and decode {decode:.0f} ms a chunk"


def _machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"ONNX Runtime {onnxruntime.__version__} ({', '.join(p.value for p in available_providers())})"
    )
