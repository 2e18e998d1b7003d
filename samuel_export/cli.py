"""`samuel-export`: a checkpoint in, a proven bundle out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from samuel_runtime import console

_DEFAULT_CODEC = "stabilityai/stable-audio-open-1.0"
_RUNS = Path("runs")


@click.command(name="samuel-export", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Bundle folder.  [default: `bundle` beside the checkpoint]")  # fmt: skip
@click.option("--codec", "codec_location",
              help="Codec folder or hub id.  [default: the one named in the checkpoint]")  # fmt: skip
@click.option("--precision", type=click.Choice(["fp32", "fp16", "bf16"]), default="fp32",
              help="Arithmetic of the graphs; norms, softmax and spectra stay float32.")  # fmt: skip
@click.option("--weights", type=click.Choice(["fp32", "fp16"]), default="fp32",
              help="How weights are kept in the files of --precision fp32.")  # fmt: skip
@click.option("--guidance", type=click.FloatRange(0, 100), default=3.0, help="The bundle's default guidance scale.")
@click.option("--licence", help="Licence of the denoiser's weights, to be recorded in the bundle.")
@click.option("--verify", type=click.Path(path_type=Path), metavar="BUNDLE",
              help="Repeat the parity report of a bundle instead of making one.")  # fmt: skip
@click.pass_context
def command(
    context: click.Context,
    checkpoint: Path | None,
    output: Path | None,
    codec_location: str | None,
    precision: str,
    weights: str,
    guidance: float,
    licence: str | None,
    verify: Path | None,
) -> int:
    """Turn CHECKPOINT (default: the newest in runs/) into a bundle, and prove it equal to the PyTorch model.

    With --verify, a CHECKPOINT given as well is the reference; without one, the fingerprints in the bundle are.
    """
    from samuel_export.package import ParityError, verify_bundle, write_bundle
    from samuel_export.storage import Storage
    from samuel_runtime.choices import Precision
    from samuel_train.checkpoint import Checkpoint, load_checkpoint
    from samuel_train.codec import Codec, load_codec

    def say(line: str) -> None:
        click.echo(line, err=True)

    def loaded(path: Path) -> tuple[Checkpoint, Codec]:
        found = load_checkpoint(path)
        return found, load_codec(codec_location or found.provenance.get("codec", _DEFAULT_CODEC))

    if verify is None and precision != "fp32" and _given(context, "weights"):
        raise click.UsageError(f"--weights has no effect with --precision {precision}; leave one of them out", context)
    if verify is not None:
        _refuse_idle_options(context)
        passed = verify_bundle(verify, say, loaded(checkpoint) if checkpoint is not None else None)
        click.echo(f"{verify}: {'equal' if passed else 'NOT equal'} to its model")
        return 0 if passed else 1

    path = checkpoint or newest_checkpoint(_RUNS)
    found, codec = loaded(path)
    target = output or path.parent / "bundle"
    if licence is not None:
        found = replace(found, provenance={**found.provenance, "licence": licence})
    try:
        write_bundle(found, codec, target, Storage(weights), guidance, say, Precision(precision))
    except ParityError as error:
        say(f"error: {error}")
        return 1
    click.echo(str(target))
    return 0


def _refuse_idle_options(context: click.Context) -> None:
    idle = {"output", "precision", "weights", "guidance", "licence"}
    if context.params["checkpoint"] is None:
        idle.add("codec_location")
    for option in context.command.params:
        if option.name in idle and _given(context, option.name):
            raise click.UsageError(f"{option.opts[-1]} has no effect on this --verify; leave it out", context)


def _given(context: click.Context, option: str) -> bool:
    return context.get_parameter_source(option) is ParameterSource.COMMANDLINE


def newest_checkpoint(runs: Path) -> Path:
    """The checkpoint that was written last below a folder of runs.

    Raises:
        UserError: there is none.
    """
    from samuel_runtime.errors import UserError

    found = sorted(runs.glob("*/checkpoint.safetensors"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(
            f"{runs}: holds no run with a checkpoint; train one with `samuel-train fit`, or name a checkpoint"
        )
    return found[-1]


def main() -> None:
    """Entry point of `samuel-export`."""
    console.run(command)


if __name__ == "__main__":
    main()
