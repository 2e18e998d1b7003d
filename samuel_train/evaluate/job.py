"""One call of ``samuel-train evaluate``: all that was asked for, written anew after every part."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from tqdm import tqdm

from samuel_runtime.pipeline import Samuel
from samuel_train.data.stems import Skipped, SongFolder
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.evaluation import EvaluatedAudio, evaluate, recordings
from samuel_train.evaluate.report.clips import Clips
from samuel_train.evaluate.report.page import write_page
from samuel_train.evaluate.report.picture import draw
from samuel_train.evaluate.report.report import Results, Subject, write_results
from samuel_train.evaluate.report.tables import said
from samuel_train.evaluate.studies.moved_voices import Plan, transpositions
from samuel_train.evaluate.studies.windows import drifts, spans_of


@dataclass(frozen=True)
class Job:
    """What to do and where its results go."""

    songs: Sequence[SongFolder]
    """Held out."""
    cases: Sequence[Case]
    """The grid."""
    plan: Plan
    """Voices to move; may be none."""
    minutes: tuple[float, ...]
    """Lengths of long songs; may be none."""
    output: Path
    """JSON; the picture goes beside it."""
    page: Path | None
    """HTML, if wanted: it plays the last case."""

    def run(self, samuel: Samuel) -> None:
        """Evaluate, write, print.

        Raises:
            UserError: a recording cannot be read, something does not fit the bundle, or a file cannot be written.
        """
        for minutes in self.minutes:  # refuses before the work what will not do
            spans_of(samuel.manifest, minutes)
        subject, results = Subject.of(samuel, self.songs), Results()
        clips = Clips(self.cases[-1], samuel.manifest.codec.sample_rate_hz) if self.page else None
        with tqdm(total=self._recordings(), unit="recording", disable=not sys.stderr.isatty()) as bar:

            def keep(audio: EvaluatedAudio) -> None:
                if clips is not None:
                    clips(audio)
                bar.update()

            for row in evaluate(samuel, self.songs, self.cases, keep):
                results.rows.append(row)
                write_results(self.output, subject, results)
            for moved in transpositions(samuel, self.plan, self.cases, bar.update):
                results.transpositions.append(moved)
                write_results(self.output, subject, results)
            for minutes in self.minutes:
                for drift in drifts(samuel, self.songs, minutes, self.cases, bar.update):
                    if isinstance(drift, Skipped):
                        click.echo(f"skipped {drift.song}: {drift.reason}", err=True)
                        continue
                    results.drifts.append(drift)
                    write_results(self.output, subject, results)
        picture = self.output.with_suffix(".png")
        drawn = draw(picture, results)
        click.echo("\n\n".join([*said(results), f"{self.output}\n{picture}"]))
        if self.page is not None and clips is not None:
            size = write_page(self.page, subject, results, clips, drawn)
            click.echo(f"{self.page} ({size / 1e6:.1f} MB)")

    def _recordings(self) -> int:
        songs, cases = len(self.songs), len(self.cases)
        long = len(self.minutes) * songs * (1 + cases)
        return recordings(self.songs, self.cases) + self.plan.recordings(cases) + long
