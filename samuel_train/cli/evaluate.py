"""``samuel-train evaluate``: a grid of cases, in numbers and as a picture."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from samuel_runtime.errors import UserError
from samuel_runtime.settings import (
    DEFAULT_SAMPLER,
    DEFAULT_SEED,
    MOST_STEPS,
    Precision,
    Provider,
    Sampler,
)

_NEEDED = ("librosa", "mir_eval", "scipy", "matplotlib")
_SHEETS = ("none", "given", "estimated")
_SEMITONES = "-5,-3,-2,2,3,5"


class _Values(click.ParamType):
    """Values of another type, separated by commas."""

    def __init__(self, one: click.ParamType) -> None:
        self._one, self.name = one, "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(self._one.convert(part.strip(), param, ctx) for part in str(value).split(","))


@click.command("evaluate")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("stems", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("evaluation.json"),
              show_default=True, help="Results; a picture of the same name is put beside them.")  # fmt: skip
@click.option("--steps", type=_Values(click.IntRange(1, MOST_STEPS)), metavar="N,...",
              help="Denoising steps.  [default: the bundle's]")  # fmt: skip
@click.option("--samplers", type=_Values(click.Choice([s.value for s in Sampler])), default=DEFAULT_SAMPLER.value,
              show_default=True, metavar="NAME,...", help=f"Of {', '.join(s.value for s in Sampler)}.")  # fmt: skip
@click.option("--guidance", type=_Values(click.FloatRange(0, 100)), metavar="G,...",
              help="How strongly the voice leads.  [default: the bundle's]")  # fmt: skip
@click.option("--sheets", type=_Values(click.Choice(_SHEETS)), default="none", show_default=True, metavar="NAME,...",
              help="Lead sheets that the bands play from: none, given (the songs' own), or estimated from the "
                   "voices.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**62), default=DEFAULT_SEED, show_default=True,
              help="Of the first song; the next song has the next seed.")  # fmt: skip
@click.option("--songs", "most", type=click.IntRange(2), help="Only the first so many songs.  [default: all]")
@click.option("--transpose", "voices", type=click.Path(dir_okay=False, path_type=Path), multiple=True, metavar="VOICE",
              help="Move this voice by --semitones: does the band move along? May be given again.")  # fmt: skip
@click.option("--semitones", type=_Values(click.IntRange(-11, 11)), default=_SEMITONES, show_default=True,
              metavar="N,...", help="How far to move it.")  # fmt: skip
@click.option("--transpose-seeds", "seeds", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Bands per shift, whose chroma is averaged.")  # fmt: skip
@click.option("--windows", "minutes", type=_Values(click.FloatRange(0.1, 10)), default=(), metavar="MINUTES,...",
              help="Also make songs of this length, such as 2,4: does key, harmony, tempo or level drift?")  # fmt: skip
@click.option("--page", type=click.Path(dir_okay=False, path_type=Path),
              help="Also write an HTML file to listen to, about 50 MB at most.")  # fmt: skip
@click.option("--provider", type=click.Choice([p.value for p in Provider]), default=Provider.CPU.value,
              show_default=True, help="Where to run.")  # fmt: skip
@click.option("--precision", type=click.Choice([p.value for p in Precision]),
              help="Of the arithmetic.  [default: the bundle's]")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads.  [default: physical cores]")
def command(
    bundle: Path,
    stems: Path,
    output: Path,
    steps: tuple[int, ...] | None,
    samplers: tuple[str, ...],
    guidance: tuple[float, ...] | None,
    sheets: tuple[str, ...],
    seed: int,
    most: int | None,
    voices: tuple[Path, ...],
    semitones: tuple[int, ...],
    seeds: int,
    minutes: tuple[float, ...],
    page: Path | None,
    provider: str,
    precision: str | None,
    threads: int | None,
) -> None:
    """Generate the bands of the songs below STEMS with BUNDLE and compare them with the true ones.

    STEMS should hold songs that the bundle was not trained on: a folder each, with vocals.* and accompaniment.*, and
    song.json where key, beats and chords are known (as `samuel-train synthesize` writes it). Every combination of
    --samplers, --guidance, --steps and --sheets is one row. The true band through the codec is the ceiling, other
    songs' bands are the floor. The results are written anew after every row, so that a long evaluation can be cut
    short.

    --transpose and --windows are made under every combination too. --page plays the last one: at most 20 songs, of each
    30 seconds of voice, band, mix, true band, and true band through the codec.
    """
    for module in _NEEDED:
        if find_spec(module) is None:
            raise UserError(f"evaluate needs {module}; add it with `pip install 'samuel-deploy[evaluate,cpu]'`")
    if output.suffix != ".json" or not output.parent.is_dir():
        raise UserError(f"{output}: results go to a .json file in a folder that exists; name one with -o")
    if page is not None and (page.suffix != ".html" or not page.parent.is_dir()):
        raise UserError(f"{page}: the page is an .html file in a folder that exists; name one with --page")
    from samuel_runtime.pipeline import Samuel
    from samuel_train.evaluate.cases import SheetSource, grid
    from samuel_train.evaluate.job import Job
    from samuel_train.evaluate.songs import held_out
    from samuel_train.evaluate.studies.moved_voices import Plan

    plan = Plan.of(voices, semitones, seeds)
    songs, skipped = held_out(stems, most)
    for skip in skipped:
        click.echo(f"skipped {skip.song}: {skip.reason}", err=True)
    samuel = Samuel.load(
        bundle, provider=Provider(provider), threads=threads, precision=Precision(precision) if precision else None
    )
    model = samuel.manifest.model
    guidances, counts = guidance or (model.guidance,), steps or (model.steps,)
    cases = grid([Sampler(name) for name in samplers], guidances, counts, seed, [SheetSource(name) for name in sheets])
    Job(songs, cases, plan, tuple(sorted(set(minutes))), output, page).run(samuel)
