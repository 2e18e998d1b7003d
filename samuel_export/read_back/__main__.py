"""``python -m samuel_export.read_back``."""

from __future__ import annotations

from pathlib import Path

import click

from samuel_export.read_back.codec import read_codec
from samuel_export.read_back.denoiser import read_denoiser
from samuel_export.read_back.estimator import read_estimator
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.cli import console
from samuel_runtime.errors import UserError
from samuel_train.codec.model.files import save_small_codec
from samuel_train.fit.settings import load_settings
from samuel_train.listen.checkpoint import save_estimator
from samuel_train.model.checkpoint import save_checkpoint
from samuel_train.model.config import ModelConfig


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True,
              help="Folder for the codec, or file for the checkpoint of one of the others.")  # fmt: skip
@click.option("--denoiser", is_flag=True, help="Read the denoiser instead of the codec.")
@click.option("--estimator", is_flag=True, help="Read the estimator instead of the codec.")
@click.option("--chords", is_flag=True, help="Read the estimator of chords instead of the codec.")
@click.option("--config", type=click.Path(path_type=Path),
              help="With --denoiser: TOML file whose [model] the denoiser was trained with.  "
                   "[default: the paper's]")  # fmt: skip
def command(bundle: Path, out: Path, denoiser: bool, estimator: bool, chords: bool, config: Path | None) -> None:
    """Read the codec of BUNDLE back into a folder, or its denoiser or one of its estimators into a checkpoint."""
    if config is not None and not denoiser:
        raise click.UsageError("--config goes with --denoiser; leave it out")
    if denoiser + estimator + chords > 1:
        raise click.UsageError("--denoiser, --estimator and --chords are several checkpoints; call it once for each")
    if out.exists():
        raise UserError(f"{out}: exists; choose another name with -o")
    if denoiser:
        save_checkpoint(out, read_denoiser(bundle, ModelConfig() if config is None else load_settings(config).model))
    elif estimator or chords:
        save_estimator(out, read_estimator(bundle, GraphName.CHORDS if chords else GraphName.ESTIMATOR))
    else:
        save_small_codec(out, read_codec(bundle))
    click.echo(str(out))


if __name__ == "__main__":
    console.run(command)
