"""``samuel-train codec``: train the small codec on stems."""

from __future__ import annotations

from pathlib import Path

import click

_DEFAULT_MINUTES = 30.0


@click.command(name="codec")
@click.argument("stems", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the codec.")
@click.option("--minutes", type=float, help="Wall time to train for.  [default: 30]")
@click.option("--steps", type=int, help="Steps to train for, instead of minutes.")
@click.option(
    "--adversarial-share",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of the budget, at its end, in which the decoder alone is trained against discriminators.",
)
@click.option(
    "--batch", type=click.IntRange(1), default=8, show_default=True, help="Crops of 1.5 s a step; a GPU likes 64."
)
@click.option(
    "--echoes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Steps on the same crops, for a GPU that waits for them.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, 1, min_open=True),
    help="The highest.  [default: 0.0015, with --from 0.001, with --refine 0.0005]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, crops and noise.")
@click.option(
    "--refine",
    "refined",
    type=click.Path(path_type=Path),
    metavar="CODEC",
    help="Train the decoder of this codec alone; its encoder, and all latents made with it, stay as they are.",
)
@click.option(
    "--from",
    "further",
    type=click.Path(path_type=Path),
    metavar="CODEC",
    help="Begin with this codec's weights; what a codec has more today begins without effect.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in the folder, with the same settings; --minutes or --steps may grow.",
)
def command(
    stems: Path,
    out: Path,
    minutes: float | None,
    steps: int | None,
    adversarial_share: float,
    batch: int,
    echoes: int,
    learning_rate: float | None,
    device: str,
    seed: int,
    refined: Path | None,
    further: Path | None,
    resume: bool,
) -> None:
    """Train Samuel's small codec on the songs below STEMS.

    A song is a folder with vocals.* beside accompaniment.*, or beside drums.*, bass.* and other.*, of any sample rate.
    """
    from samuel_train.codec.fit.loop import fit_codec
    from samuel_train.codec.fit.settings import (
        FURTHER_LEARNING_RATE,
        LEARNING_RATE,
        REFINING_LEARNING_RATE,
        FitSettings,
    )
    from samuel_train.codec.model.files import load_small_codec
    from samuel_train.codec.model.grown import grown
    from samuel_train.codec.model.small_config import SmallCodecConfig
    from samuel_train.device.allocator import keep_freed_memory

    if refined and further:
        raise click.UsageError("--refine trains a codec's decoder alone, --from both of its halves; give one of them")
    if minutes is None and steps is None:
        minutes = _DEFAULT_MINUTES
    keep_freed_memory()
    usual = REFINING_LEARNING_RATE if refined else FURTHER_LEARNING_RATE if further else LEARNING_RATE
    settings = FitSettings(minutes, steps, adversarial_share, seed, batch, echoes, learning_rate=learning_rate or usual)
    start = load_small_codec(refined) if refined else None
    if further:
        start = grown(load_small_codec(further), SmallCodecConfig())
    distances = fit_codec(
        stems,
        out,
        settings,
        device=device,
        resume=resume,
        say=lambda line: click.echo(line, err=True),
        start=start,
        decoder_alone=refined is not None,
    )
    heard = ", ".join(f"{kind} {distance:.3f}" for kind, distance in distances.items())
    click.echo(f"{out}: log-mel distance on songs held out: {heard}; `samuel-train evaluate-codec` measures the rest")


if __name__ == "__main__":
    command()
