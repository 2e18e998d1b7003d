"""Stores a trained codec in half the space.

python -m samuel_train.codec.pack CODEC -o samuel_train/assets/codec
"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from samuel_runtime.cli import console
from samuel_train.codec.model.files import load_small_codec, save_small_codec


@click.command()
@click.argument("codec", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the copy.")
def command(codec: Path, out: Path) -> None:
    """Copy CODEC with its weights in float16."""
    save_small_codec(out, load_small_codec(codec), torch.float16)
    click.echo(str(out))


if __name__ == "__main__":
    console.run(command)
