"""``samuel-train import-published``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("import-published")
@click.argument("pth", type=click.Path(path_type=Path))
@click.option(
    "--latents",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder with the latent_vocal.npy and latent_accomp.npy that it was trained on.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("checkpoint.safetensors"),
    show_default=True,
    help="Checkpoint to write.",
)
def command(pth: Path, latents: Path, out: Path) -> None:
    """Convert PTH, a checkpoint that the published SAMUeL-GEN code trained."""
    from samuel_train.model.published import import_published

    click.echo(import_published(pth, latents, out))
