"""``samuel-train listen``: train the lead sheet's estimators."""

from __future__ import annotations

from pathlib import Path

import click

from samuel_runtime.errors import UserError

_DEFAULT_MINUTES = 30.0


@click.command(name="listen")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the estimator.")
@click.option("--minutes", type=float, help="Wall time to train for.  [default: 30]")
@click.option("--steps", type=int, help="Steps to train for, instead of minutes.")
@click.option(
    "--voices",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    metavar="STEMS",
    help="Songs of `samuel-train synthesize`, whose voices are mixed in; may be given again.",
)
@click.option(
    "--sheets",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    metavar="FOLDER|ZIP",
    help="Scores in MusicXML, whose melodies are mixed in, with their written chords or those of their accompaniment; "
    "those in folders called heldout are left out. May be given again; each is drawn from equally often.",
)
@click.option("--chords", is_flag=True, help="Train the estimator of chords on known beats instead.")
@click.option("--from", "start", type=click.Path(path_type=Path), metavar="ESTIMATOR",
              help="Begin with the weights of this estimator.safetensors.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and songs.")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in the folder, with the same songs; --minutes or --steps may grow.",
)
def command(
    out: Path,
    minutes: float | None,
    steps: int | None,
    voices: tuple[Path, ...],
    sheets: tuple[Path, ...],
    chords: bool,
    start: Path | None,
    seed: int,
    resume: bool,
) -> None:
    """Train the estimator that hears beats, chords and key in a melody, or the one that hears chords on its beats.

    It learns from procedural melodies, of which it sees what the tracker would hear; no sound is needed.
    """
    from samuel_train.listen.checkpoint import load_estimator
    from samuel_train.listen.config import ChordConfig
    from samuel_train.listen.loop import CHECKPOINT_NAME, train_estimator
    from samuel_train.listen.settings import ListenSettings
    from samuel_train.listen.songs.voices import hear_voices
    from samuel_train.synth.scores.musicxml import read_scores

    if resume and start is not None:
        raise UserError("--from does not go with --resume: a run has begun where it has; leave --from out")
    if minutes is None and steps is None:
        minutes = _DEFAULT_MINUTES
    settings = ListenSettings(minutes, steps, seed)
    checkpoint = None if start is None else load_estimator(start)

    def say(line: str) -> None:
        click.echo(line, err=True)

    heard = hear_voices(voices, say)
    collections = []
    for root in sheets:
        scores, skipped = read_scores(root)
        collections.append(scores)
        for skip in skipped:
            say(f"skipped {skip.song}: {skip.reason}")
    config = ChordConfig() if chords else None
    found = train_estimator(out, settings, heard, collections, config, start=checkpoint, resume=resume, say=say)
    click.echo(f"{out / CHECKPOINT_NAME}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))


if __name__ == "__main__":
    command()
