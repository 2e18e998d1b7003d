"""``samuel-train prepare``."""

from __future__ import annotations

from pathlib import Path

import click

from samuel_runtime.errors import UserError


@click.command("prepare")
@click.argument("stems", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("latents"),
    show_default=True,
    help="Folder for the latents; an earlier run there is continued.",
)
@click.option(
    "--codec",
    "location",
    default="stabilityai/stable-audio-open-1.0",
    show_default=True,
    metavar="DIR|ID",
    help="Codec: a folder, or the name of a model on the hub.",
)
@click.option(
    "--varispeed",
    default="",
    metavar="SEMITONES",
    help="Encode every song again, played faster or slower by so many semitones each: other keys and tempos, "
    "such as -3,-1,2,4.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
def command(stems: Path, out: Path, location: str, varispeed: str, device: str) -> None:
    """Encode the songs below STEMS into latents.

    A song is a folder with vocals.* beside accompaniment.*, or beside drums.*, bass.* and other.*
    """
    from samuel_train.codec import load_codec
    from samuel_train.data.prepare import SKIPPED_FILE, prepare
    from samuel_train.device.allocator import keep_freed_memory
    from samuel_train.device.choice import choose_device

    semitones = _semitones(varispeed)
    keep_freed_memory()
    codec = load_codec(location, choose_device(device))
    prepared = prepare(stems, out, codec, location, semitones)
    for skip in prepared.skipped:
        click.echo(f"skipped {skip.song}: {skip.reason}", err=True)
    if prepared.skipped:
        click.echo(f"{len(prepared.skipped)} songs skipped, listed in {out / SKIPPED_FILE}", err=True)
    click.echo(f"{out}: {prepared.entries} entries from {prepared.songs} songs")


def _semitones(listed: str) -> list[int]:
    """The whole numbers of a list with commas."""
    try:
        return [int(entry) for entry in listed.split(",") if entry.strip()]
    except ValueError as error:
        raise UserError(
            f"--varispeed takes whole semitones with commas between, such as -3,2, not {listed!r}"
        ) from error
