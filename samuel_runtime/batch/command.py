"""`samuel-batch`: its options, and what it says in the end.

Not an option of `samuel-run`, which promises the opposite: that reads every recording before it makes anything, and
makes nothing if one of them cannot be used. Among thousands some are always broken, and the rest should not wait.
"""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from samuel_runtime.batch.cluster import Cluster, cluster_options
from samuel_runtime.cli import console
from samuel_runtime.errors import UserError
from samuel_runtime.settings import (
    DEFAULT_SAMPLER,
    DEFAULT_SEED,
    MOST_STEPS,
    Provider,
    Sampler,
    Settings,
)


@click.command(name="samuel-batch", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("voices")
@click.option("-o", "--output", "bands", required=True,
              help="Folder for the bands, laid out as that of the voices; those there stay.")  # fmt: skip
@click.option("--mix", "mixes", is_flag=True, help="Also write voice and band together, beside the bands.")
@click.option("--format", "suffix", type=click.Choice(["wav", "flac", "mp3", "ogg"]), default="wav",
              help="Of bands and mixes.")  # fmt: skip
@click.option("--bundle", type=click.Path(path_type=Path),
              help="Bundle folder, on every machine.  [default: the packaged one]")  # fmt: skip
@click.option("--steps", type=click.IntRange(1, MOST_STEPS), help="Denoising steps.  [default: the bundle's]")
@click.option("--sampler", type=click.Choice([s.value for s in Sampler]), default=DEFAULT_SAMPLER.value,
              help="How latents are drawn.")  # fmt: skip
@click.option("--guidance", type=click.FloatRange(0, 100),
              help="Classifier-free guidance scale; 1 is none.  [default: the bundle's]")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=DEFAULT_SEED, help="Of every band.")
@click.option("--provider", type=click.Choice([p.value for p in Provider]), default=Provider.AUTO.value,
              help="Where to run, on each machine.")  # fmt: skip
@cluster_options
def command(
    voices: str,
    bands: str,
    mixes: bool,
    suffix: str,
    bundle: Path | None,
    steps: int | None,
    sampler: str,
    guidance: float | None,
    seed: int,
    provider: str,
    address: str | None,
    cpus: float,
    gpus: float,
    workers: int | None,
) -> None:
    """Make a band for every recording below VOICES, on all machines of a Ray cluster.

    VOICES and -o are folders that all machines see, or URLs such as s3://bucket/voices. It may be stopped at any moment
    and called again: bands that are there are not made again. Voices that cannot be used are listed in failed.json.
    """
    from samuel_runtime.batch.voices import FAILED_FILE, Plan, write_json
    from samuel_runtime.bundle.bundle import Bundle
    from samuel_runtime.locations import joined
    from samuel_runtime.pipeline import check_fits

    settings = Settings(sampler, steps, guidance, seed)
    check_fits(Bundle.open(bundle).manifest, settings)
    cluster = Cluster(address, cpus, gpus, workers)
    folder = None if bundle is None else str(bundle.resolve())
    plan = Plan(voices, bands, folder, provider, cluster.threads, settings, f".{suffix}", mixes)
    missing, there = plan.missing()
    plan.keep_record()
    failed = {}
    for voice, failure in tqdm(cluster.over(missing, plan.maker), total=len(missing), unit="band", disable=None):
        if failure:
            failed[voice] = failure
    report = joined(bands, FAILED_FILE)
    write_json(report, [{"voice": voice, "reason": failed[voice]} for voice in sorted(failed)])
    console.tell(f"{bands}: {len(missing) - len(failed)} bands made, {there} were there")
    if failed:
        first = min(failed)
        raise UserError(
            f"{report}: lists {len(failed)} voices without a band, such as {first} ({failed[first]}); "
            "mend or remove them, and call it again"
        )


def main() -> None:
    """Entry point of `samuel-batch`."""
    console.run(command)
