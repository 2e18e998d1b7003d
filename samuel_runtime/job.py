"""One call of `samuel-run`: load, make the takes, say what happened."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from tqdm import tqdm

from samuel_runtime.choices import Provider
from samuel_runtime.diagnostics import SPECTROGRAMS, Diagnostics, check_plots
from samuel_runtime.observer import Observer, Step
from samuel_runtime.pipeline import Samuel, Settings
from samuel_runtime.speed import measure_speed, steps_within
from samuel_runtime.takes import Result, Take, make_takes, plan_takes


def run_takes(
    voices: list[Path],
    *,
    output: Path | None,
    mix: Path | None,
    bundle: Path | None,
    settings: Settings,
    variations: int,
    provider: Provider,
    target_s: float | None,
    threads: int | None,
    diagnostics: Path | None,
    as_json: bool,
) -> None:
    """Make every take and print the results; the arguments are the options of `samuel-run`.

    Raises:
        UserError: anything about the input, the options or the bundle.
    """
    started = perf_counter()
    if diagnostics is not None:
        check_plots()
    takes = plan_takes(voices, output, mix, settings, variations)
    read_s = perf_counter() - started
    samuel = Samuel.load(bundle, provider, threads)
    load_s = perf_counter() - started - read_s
    report: dict[str, Any] = {
        "provider": samuel.provider.value,
        "seconds": {"read": round(read_s, 4), "load": round(load_s, 4)},
        "takes": [],
    }
    if target_s is not None:
        takes = _within(takes, samuel, target_s)
    observer = _Console() if diagnostics is None else Diagnostics(diagnostics, samuel.manifest, _Console())
    for result in make_takes(samuel, takes, observer):
        for warning in result.warnings:
            click.echo(f"warning: {result.take.accompaniment}: {warning}", err=True)
        entry = result.to_dict()
        if isinstance(observer, Diagnostics):
            entry["diagnostics"] = str(observer.write(result))
        report["takes"].append(entry)
        if not as_json:
            _print(result, entry.get("diagnostics"))
    report["seconds"]["total"] = round(perf_counter() - started, 4)
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        click.echo(f"read {read_s:.2f} s, load {load_s:.2f} s, all {report['seconds']['total']:.2f} s")


def _within(takes: list[Take], samuel: Samuel, target_s: float) -> list[Take]:
    """The takes with as many steps as the time allows."""
    speed, fitted = measure_speed(samuel), []
    for take in takes:
        steps = steps_within(target_s, samuel, speed, samuel.frames_of(take.voice))
        fitted.append(replace(take, settings=replace(take.settings, steps=steps)))
        click.echo(
            f"{take.accompaniment}: {steps} steps of {take.settings.sampler.value} for {target_s:g} s "
            f"({1e3 * speed.step_s:.0f} ms a step on {samuel.provider.value})",
            err=True,
        )
    return fitted


def _print(result: Result, diagnostics: str | None) -> None:
    take = result.take
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.seconds.items())
    click.echo(f"{take.accompaniment}  (seed {take.settings.seed}; {stages})")
    if take.mix is not None:
        click.echo(str(take.mix))
    if diagnostics is not None:
        click.echo(str(Path(diagnostics) / SPECTROGRAMS))


class _Console(Observer):
    """A progress bar on stderr where someone is watching."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def progress(self, stage: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        if stage != self._stage or self._bar is None:
            self._bar = tqdm(
                total=total,
                desc=stage,
                leave=False,
                file=sys.stderr,
                bar_format="{desc:>8} |{bar}| {n}/{total} {remaining}",
            )
            self._stage = stage
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
            self._bar, self._stage = None, ""

    def step(self, window: int, step: Step) -> None:
        """Nothing to show."""
