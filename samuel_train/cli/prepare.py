"""``samuel-train prepare``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samuel_runtime.batch.cluster import Cluster, cluster_options
from samuel_runtime.errors import UserError

if TYPE_CHECKING:
    from samuel_train.data.prepare import SongParts


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
@click.option("--ray", "on_cluster", is_flag=True,
              help="Encode on all machines of a Ray cluster, which see STEMS, -o and --codec as this one does; "
                   "the options below are for this.")  # fmt: skip
@cluster_options
def command(
    stems: Path,
    out: Path,
    location: str,
    varispeed: str,
    device: str,
    on_cluster: bool,
    address: str | None,
    cpus: float,
    gpus: float,
    workers: int | None,
) -> None:
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
    encode = None
    if on_cluster:
        # Workers are elsewhere: what is named from here must be named from the root.
        cluster, stems, out = Cluster(address, cpus, gpus, workers), stems.resolve(), out.resolve()
        location_there = str(Path(location).resolve()) if Path(location).exists() else location
        encode = partial(cluster.over, make=partial(_encoder, location_there, device, cluster.threads))
    prepared = prepare(stems, out, codec, location, semitones, encode)
    for skip in prepared.skipped:
        click.echo(f"skipped {skip.song}: {skip.reason}", err=True)
    if prepared.skipped:
        click.echo(f"{len(prepared.skipped)} songs skipped, listed in {out / SKIPPED_FILE}", err=True)
    click.echo(f"{out}: {prepared.entries} entries from {prepared.songs} songs")


def _encoder(location: str, device: str, threads: int) -> Callable[[SongParts], None]:
    """In a worker of a cluster."""
    import torch

    from samuel_train.codec import load_codec
    from samuel_train.data.prepare import song_encoder
    from samuel_train.device.choice import choose_device

    torch.set_num_threads(threads)
    return song_encoder(load_codec(location, choose_device(device)))


def _semitones(listed: str) -> list[int]:
    """The whole numbers of a list with commas."""
    try:
        return [int(entry) for entry in listed.split(",") if entry.strip()]
    except ValueError as error:
        raise UserError(
            f"--varispeed takes whole semitones with commas between, such as -3,2, not {listed!r}"
        ) from error
