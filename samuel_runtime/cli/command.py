"""`samuel-run`: a voice recording in, a band out."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import click
from click.core import ParameterSource

from samuel_runtime.cli import console
from samuel_runtime.leadsheet.sheet import Meter
from samuel_runtime.settings import (
    DEFAULT_SAMPLER,
    DEFAULT_SEED,
    MOST_STEPS,
    Precision,
    Provider,
    Sampler,
)

_OF_DOCTOR = frozenset({"doctor", "bundle", "threads", "trust_engines", "as_json"})


@click.command(name="samuel-run", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("vocals", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", "out", type=click.Path(),
              help="File for one take, folder for several; a folder is made if its name ends with a slash or there "
                   "are several takes.  [default: beside each voice]")  # fmt: skip
@click.option("--mix", type=click.Path(), help="Also write voice and band together, here.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle folder.  [default: the packaged one]")
@click.option("--steps", type=click.IntRange(1, MOST_STEPS), help="Denoising steps.  [default: the bundle's]")
@click.option("--sampler", type=click.Choice([s.value for s in Sampler]),
              help="How latents are drawn; ancestral is the paper's, for 800 steps.  "
                   f"[default: {DEFAULT_SAMPLER.value}]")  # fmt: skip
@click.option("--guidance", type=click.FloatRange(0, 100),
              help="Classifier-free guidance scale; 1 is none.  [default: the bundle's]")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=DEFAULT_SEED, help="The same seed, the same take.")
@click.option("--variations", type=click.IntRange(1, 1000), default=1, help="Takes per voice, from consecutive seeds.")
@click.option("--bpm", type=float, help="The song's constant tempo, in beats a minute.")
@click.option("--first-beat-s", type=float, help="Where its first beat is, in seconds; goes with --bpm.")
@click.option("--meter", type=click.Choice([m.value for m in Meter]), help="Its meter.")
@click.option("--key", help='Its key, such as "A minor", F#m or Bb.')
@click.option("--chords", help='Its chords, such as "Am F C G/B": one a bar, repeated; F:2 is two beats.')
@click.option("--lead-sheet", type=click.Path(path_type=Path),
              help="All of it, from a JSON or MIDI file; what else is given replaces parts of it.")  # fmt: skip
@click.option("--lead-sheet-out", type=click.Path(), help="Also write what the band was played from, here, as JSON.")
@click.option("--midi", type=click.Path(), help="The same as MIDI: tempo map, chord names, melody, block chords.")
@click.option("--provider", type=click.Choice([p.value for p in Provider]), default=Provider.AUTO.value,
              help="Where to run; auto is what --doctor measured as the fastest, before that the CPU.")  # fmt: skip
@click.option("--precision", type=click.Choice(["auto", *(p.value for p in Precision)]), default="auto",
              help="Arithmetic; auto is what goes with --provider auto, else the bundle's own.")  # fmt: skip
@click.option("--target-s", type=click.FloatRange(min=0, min_open=True),
              help="Seconds that the whole command may take: picks --sampler, --steps, --provider and --precision for "
                   "it, and keeps those that are given.")  # fmt: skip
@click.option("--trust-engines", is_flag=True,
              help="Let the bundle's TensorRT engines run, now and later: they are code, and somebody else built "
                   "them.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024),
              help="CPU threads, at most the processors that may be used.  [default: physical cores]")  # fmt: skip
@click.option("--diagnostics", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for plots, an animation and timings of the run (extra `plots`).")  # fmt: skip
@click.option("--doctor", is_flag=True,
              help="Say what can run here and how fast, instead of running; goes with --bundle, --threads, "
                   "--trust-engines and --json alone.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout instead of lines.")
@click.pass_context
def command(
    context: click.Context,
    vocals: tuple[Path, ...],
    out: str | None,
    mix: str | None,
    bundle: Path | None,
    steps: int | None,
    sampler: str | None,
    guidance: float | None,
    seed: int,
    variations: int,
    bpm: float | None,
    first_beat_s: float | None,
    meter: str | None,
    key: str | None,
    chords: str | None,
    lead_sheet: Path | None,
    lead_sheet_out: str | None,
    midi: str | None,
    provider: str,
    precision: str,
    target_s: float | None,
    trust_engines: bool,
    threads: int | None,
    diagnostics: Path | None,
    doctor: bool,
    as_json: bool,
) -> None:
    """Generate the accompaniment for each of VOCALS (WAV, FLAC, OGG, MP3, AIFF; any rate, length and channel count).

    The result has exactly the voice's duration; its format follows the suffix of -o (.wav, .flac, .aiff, .ogg, .mp3).

    Every recording is read before any work is done: if some cannot be used, each of them is named and nothing is made.
    """
    started = perf_counter()
    if doctor and (foreign := _foreign_to_doctor(context)):
        raise click.UsageError(f"--doctor measures and makes no band; leave {', '.join(foreign)} out")
    if threads is not None:
        threads = _usable_threads(threads)
    if trust_engines:
        from samuel_runtime.bundle.bundle import Bundle
        from samuel_runtime.bundle.trust import trust
        from samuel_runtime.errors import UserError

        engines = Bundle.open(bundle).manifest.engines
        if engines is None:
            raise UserError("--trust-engines: the bundle has no TensorRT engines; leave it out")
        trust(engines)
    if doctor:
        from samuel_runtime.cli.doctor import examine

        examine(bundle, threads, as_json)
        return
    if not vocals:
        raise click.UsageError("name at least one voice recording: samuel-run vocals.wav")
    from samuel_runtime.cli.job import run_requests
    from samuel_runtime.settings import Settings
    from samuel_runtime.tuning.target import Target

    named = None if sampler is None else Sampler(sampler)
    run_requests(
        list(vocals),
        output=out,
        mix=mix,
        bundle=bundle,
        settings=Settings(
            named or DEFAULT_SAMPLER,
            steps,
            guidance,
            seed,
            bpm=bpm,
            first_beat_s=first_beat_s,
            meter=meter,
            key=key,
            chords=chords,
            lead_sheet=lead_sheet,
        ),
        variations=variations,
        lead_sheet_out=lead_sheet_out,
        midi=midi,
        provider=Provider(provider),
        precision=None if precision == "auto" else Precision(precision),
        target=None if target_s is None else Target(target_s, named, steps),
        threads=threads,
        diagnostics=diagnostics,
        as_json=as_json,
        started=started,
    )


def _usable_threads(threads: int) -> int:
    from samuel_runtime.engines import processors  # whose room imports numpy, which --help does without

    most = processors.usable()
    if threads > most:
        console.tell(f"note: --threads {threads}: this process may use {most} processors, so it takes {most}", err=True)
    return min(threads, most)


def _foreign_to_doctor(context: click.Context) -> list[str]:
    """The arguments and options of this call that --doctor has no use for, as the user knows them."""
    return [
        parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for parameter in context.command.params
        if parameter.name not in _OF_DOCTOR
        and context.params.get(parameter.name or "") != ()  # no recordings are given as well
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]


def main() -> None:
    """Entry point of `samuel-run`."""
    console.run(command)
