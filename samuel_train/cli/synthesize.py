"""``samuel-train synthesize``: a folder of songs, procedural or from lead sheets."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

from samuel_runtime.errors import UserError
from samuel_train.synth.library import MOST_SONGS, synthesize
from samuel_train.synth.scores.sheets import Sheets
from samuel_train.synth.sung import LONGEST_S, SHORTEST_S
from samuel_train.synth.voice.singer import FREEST


@click.command("synthesize")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the songs.",
)
@click.option("--songs", type=click.IntRange(1, MOST_SONGS), default=100, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other seeds, other songs.")
@click.option(
    "--duration-s",
    type=click.FloatRange(SHORTEST_S, LONGEST_S),
    default=None,
    help="Length of every song in seconds.  [default: drawn from 5 to 60]",
)
@click.option(
    "--freest",
    type=click.FloatRange(0, 1),
    default=FREEST,
    show_default=True,
    help="How freely singers sing at most: 0 is a studio, 1 the kitchen sink.",
)
@click.option(
    "--sheets",
    type=click.Path(path_type=Path, exists=True),
    metavar="FOLDER|ZIP",
    help="Lead sheets in MusicXML whose melodies and chords songs take; those in folders called heldout are left out.",
)
@click.option(
    "--sheets-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=None,
    help="Share of the songs that take them.  [default: 1]",
)
@click.option("--held-out", is_flag=True, help="Take the lead sheets in folders called heldout, and no others.")
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes.  [default: one a core]")
def command(
    folder: Path,
    songs: int,
    seed: int,
    duration_s: float | None,
    freest: float,
    sheets: Path | None,
    sheets_share: float | None,
    held_out: bool,
    workers: int | None,
) -> None:
    """Compose and render songs: a singing voice and its band, procedural or from lead sheets.

    Each song is a folder with vocals.wav, accompaniment.wav and song.json (key, meter, tempo, beats, chords, melody
    and more). The same options give the same bytes; finished songs are kept, so an interrupted run can be started
    again. Needs samuel-deploy[synth], and the packages fluidsynth, fluid-soundfont-gm and espeak-ng of the system;
    lead sheets need samuel-deploy[scores].
    """
    if sheets is None and (held_out or sheets_share is not None):
        raise UserError(f"{'--held-out' if held_out else '--sheets-share'} needs --sheets, a folder or .zip of scores")
    read = None
    if sheets is not None:
        read, skipped = Sheets.read(sheets, held_out, 1.0 if sheets_share is None else sheets_share)
        for skip in skipped:
            click.echo(f"skipped {skip.song}: {skip.reason}", err=True)
    with tqdm(total=songs, unit="song", disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, _all: int) -> None:
            bar.update(done - bar.n)

        paths = synthesize(folder, songs, seed, duration_s, workers, progress, freest, read)
    click.echo(f"{len(paths)} songs in {folder}")
