"""One call of `samuel-run`: load, make the takes, say what happened."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.cli import console
from samuel_runtime.cli.diagnostics import SPECTROGRAMS, Diagnostics, check_diagnostics
from samuel_runtime.cli.render import RenderResult, plan_requests, render
from samuel_runtime.errors import with_options
from samuel_runtime.leadsheet.text import line_of
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import Progress
from samuel_runtime.settings import Precision, Provider, Settings
from samuel_runtime.tuning.preference import remark
from samuel_runtime.tuning.target import Plan, Target, Work, measured_backends, measured_now, plan

if TYPE_CHECKING:
    from tqdm import tqdm


def run_requests(
    voices: list[Path],
    *,
    output: Path | str | None,
    mix: Path | str | None,
    bundle: Path | None,
    settings: Settings,
    variations: int,
    lead_sheet_out: Path | str | None,
    midi: Path | str | None,
    provider: Provider,
    precision: Precision | None,
    target: Target | None,
    threads: int | None,
    diagnostics: Path | None,
    as_json: bool,
    started: float,
) -> None:
    """Make every take and print the results; the arguments are the options of `samuel-run`.

    ``started`` is what perf_counter() said when the command began: its imports are part of what a user waits for.

    Raises:
        UserError: anything about the input, the options or the bundle.
    """
    if diagnostics is not None:
        check_diagnostics(diagnostics)
    seconds = {"start": perf_counter() - started}
    takes = plan_requests(voices, output, mix, settings, variations, lead_sheet_out, midi)
    seconds["read"] = perf_counter() - started - sum(seconds.values())
    chosen: Plan | None = None
    if target is None:
        samuel = Samuel.load(bundle, provider, threads, precision)
    else:
        work = Work.of([(take.voice, take.passes) for take in takes], Bundle.open(bundle).manifest, seconds["read"])
        samuel, chosen = _load_within(target, work, bundle, provider, precision, threads, started)
        takes = [replace(t, settings=replace(t.settings, sampler=chosen.sampler, steps=chosen.steps)) for t in takes]
    seconds["load"] = perf_counter() - started - sum(seconds.values())
    report: dict[str, Any] = {"provider": samuel.backend.provider.value, "precision": samuel.backend.precision.value}
    report["takes"] = []
    progress = _Console() if diagnostics is None else Diagnostics(diagnostics, samuel.manifest, _Console())
    for result in render(samuel, takes, progress):
        for warning in result.warnings:
            console.tell(f"warning: {result.take.accompaniment}: {warning}", err=True)
        entry = result.to_dict()
        if isinstance(progress, Diagnostics):
            entry["diagnostics"] = str(progress.write(result))
        report["takes"].append(entry)
        if not as_json:
            _print(result, entry.get("diagnostics"))
    seconds["total"] = perf_counter() - started
    report["seconds"] = {stage: round(value, 4) for stage, value in seconds.items()}
    if target is not None and chosen is not None:
        report["target"] = chosen.to_dict() | target.outcome(seconds["total"])
    if provider is Provider.AUTO and (said := remark(samuel.manifest, samuel.backend)):
        console.tell(f"note: {with_options(said)}", err=True)
    if as_json:
        console.tell(json.dumps(report, indent=1))
    else:
        console.tell(", ".join(f"{stage} {value:.2f} s" for stage, value in seconds.items()))


def _load_within(
    target: Target,
    work: Work,
    bundle: Path | None,
    provider: Provider,
    precision: Precision | None,
    threads: int | None,
    started: float,
) -> tuple[Samuel, Plan]:
    """Choose a way from what was measured, load the bundle, and choose the steps for the time that is left then."""
    known = measured_backends(work.manifest, provider, precision, threads)
    if known:
        backend = plan(target, known, work, perf_counter() - started, loaded=False).backend
        provider, precision = backend.provider, backend.precision
    samuel = Samuel.load(bundle, provider, threads, precision)
    measured = measured_now(samuel, known, work)
    chosen = plan(target, [measured], work, perf_counter() - started, loaded=True)
    console.tell(chosen.explained(target), err=True)
    return samuel, chosen


def _print(result: RenderResult, diagnostics: str | None) -> None:
    take = result.take
    if "encode" in result.seconds and (line := line_of(result.sheet)):  # once a voice
        console.tell(line)
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.seconds.items())
    console.tell(f"{take.accompaniment}  (seed {take.settings.seed}; {stages})")
    for path in (take.mix, take.lead_sheet, take.midi):
        if path is not None:
            console.tell(str(path))
    if diagnostics is not None:
        console.tell(str(Path(diagnostics) / SPECTROGRAMS))


class _Console:
    """A progress bar on stderr where someone is watching."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm  # a twentieth of a second, where nobody would see the bar

        stage, done, total = progress.stage, progress.done, progress.total
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
