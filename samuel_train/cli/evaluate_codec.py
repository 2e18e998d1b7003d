"""``samuel-train evaluate-codec``: measures of a codec on recordings that it was not trained on."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import click

from samuel_runtime.errors import UserError


@click.command(name="evaluate-codec")
@click.argument("codec", metavar="DIR|ID")
@click.argument("stems", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--recording",
    "recordings",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Another recording, such as real singing, with a row of its own. May be given again.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON; a picture of spectrograms, before and after, is put beside it.",
)
def command(codec: str, stems: Path, recordings: tuple[Path, ...], output: Path | None) -> None:
    """Encode and decode voices, bands and mixes of STEMS, which the codec should not have been trained on.

    Log-mel distance in all and below 8 kHz, fine spectra, lines at multiples of the frame rate, harmony, attacks,
    level, stereo width, what noise on the latents costs, the pitch of tones by register, the basses of generated songs,
    and the effective rank of the latents. Needs samuel-deploy[evaluate].
    """
    if output is not None and (output.suffix != ".json" or not output.parent.is_dir()):
        raise UserError(f"{output}: results go to a .json file in a folder that exists; name one with -o")
    if output is not None and find_spec("matplotlib") is None:
        raise UserError("the picture needs matplotlib; add it with `pip install 'samuel-deploy[plots]'`")
    from samuel_runtime.files import replacing
    from samuel_train.codec import load_codec
    from samuel_train.codec.evaluate import evaluate_codec, shown
    from samuel_train.codec.fit.excerpts import excerpt_of, excerpts_of
    from samuel_train.data.stem_reader import open_songs

    loaded = load_codec(codec)
    hop, rate = loaded.facts.hop_samples, loaded.facts.sample_rate_hz
    songs, skipped = open_songs(stems, rate, hop)
    for skip in skipped:
        click.echo(f"skipped {skip.song}: {skip.reason}", err=True)
    excerpts = [
        *excerpts_of(songs, hop),
        *(excerpt_of(path, rate, hop) for path in recordings),
    ]
    report = evaluate_codec(loaded, excerpts, songs)
    click.echo(str(report))
    if output is not None:
        with replacing(output) as temporary:
            temporary.write_text(json.dumps(report.to_dict(), indent=1) + "\n")
        from samuel_runtime.cli.plots import spectrograms

        picture = output.with_suffix(".png")
        with replacing(picture) as temporary:
            spectrograms(temporary, shown(loaded, excerpts), rate)
        click.echo(f"{output}\n{picture}")
