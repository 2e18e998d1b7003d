"""`samuel-export`: export a checkpoint to a bundle and check that both compute the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from samuel_runtime.cli import console
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.settings import DEFAULT_STEPS, MOST_STEPS

_DEFAULT_CODEC = "stabilityai/stable-audio-open-1.0"
_ENGINE_PRECISION = "fp16"
_RUNS = Path("runs")
_DEFAULT_OPTIONS = {"steps", "guidance", "guided_down_to", "side_gain_db", "peak_ceiling"}
"""How bands are made, which may be said of a bundle that is there, too."""
_EXPORT_OPTIONS = {"output", "codec_location", "weights", "licence"} | _DEFAULT_OPTIONS

if TYPE_CHECKING:
    from samuel_runtime.settings import Flavor, Precision
    from samuel_train.codec import Codec
    from samuel_train.listen.checkpoint import EstimatorCheckpoint
    from samuel_train.model.checkpoint import Checkpoint


@click.command(name="samuel-export", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Bundle folder.  [default: `bundle` beside the checkpoint]")  # fmt: skip
@click.option("--codec", "codec_location",
              help="Codec folder or hub id.  [default: the one named in the checkpoint]")  # fmt: skip
@click.option("--decoder", metavar="CODEC", show_default=False,
              help="Put the decoder of this codec folder into a bundle, which CHECKPOINT is then; the codec's encoder "
                   "must be the bundle's.")  # fmt: skip
@click.option("--estimator", "estimators", type=click.Path(path_type=Path), metavar="FILE|BUNDLE", multiple=True,
              help="Add an estimator of `samuel-train listen`, or those of a bundle; CHECKPOINT may then be a bundle, "
                   "too. May be given again, for the one of chords.")  # fmt: skip
@click.option("--precision", type=click.Choice(["fp32", "fp16", "bf16"]), show_default=False,
              help="Arithmetic of the graphs, with --trt of the engines; norms, softmax and spectra stay float32.  "
                   "[default: fp32, with --trt fp16]")  # fmt: skip
@click.option("--weights", type=click.Choice(["fp32", "fp16", "int8"]), default="fp32",
              help="How weights are kept in the files of --precision fp32; int8 is for the step alone.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1, MOST_STEPS), default=DEFAULT_STEPS,
              help="The bundle's default number of denoising steps. CHECKPOINT may be a bundle that is to have other "
                   "ones, or another --guidance, --guided-down-to, --side-gain-db or "
                   "--peak-ceiling.")  # fmt: skip
@click.option("--guidance", type=click.FloatRange(0, 100), default=3.0, help="The bundle's default guidance scale.")
@click.option("--guided-down-to", type=click.IntRange(0), default=0, metavar="T",
              help="The lowest timestep that is guided; 0 guides all, as the paper does.")  # fmt: skip
@click.option("--side-gain-db", type=click.FloatRange(-12, 12), default=0.0,
              help="What the side signal of bands is raised by, where they are narrower than true ones.")  # fmt: skip
@click.option("--peak-ceiling", type=click.FloatRange(0.1, 100), show_default=False,
              help="Round off peaks of bands, so that none reaches this, of full scale.  "
                   "[default: they stay]")  # fmt: skip
@click.option("--licence", help="Licence of the denoiser's weights, to be recorded in the bundle.")
@click.option("--trt", is_flag=True,
              help="Add TensorRT engines, beside the graphs; CHECKPOINT may then be a bundle.")  # fmt: skip
@click.option("--trt-flavor", type=click.Choice(["auto", "rtx", "classic"]), default="auto",
              help="TensorRT for RTX, which builds anywhere, or TensorRT, for the GPU in this machine; auto is the "
                   "latter where it is installed and there is a GPU.")  # fmt: skip
@click.option("--trt-target", "targets", multiple=True, metavar="CAPABILITY",
              help="A compute capability to build for, such as 8.6; may be given again.  "
                   "[default: 8.0 and newer]")  # fmt: skip
@click.option("--verify", type=click.Path(path_type=Path), metavar="BUNDLE",
              help="Repeat the parity report of a bundle instead of making one.")  # fmt: skip
@click.pass_context
def command(
    context: click.Context,
    checkpoint: Path | None,
    output: Path | None,
    codec_location: str | None,
    decoder: str | None,
    estimators: tuple[Path, ...],
    precision: str | None,
    weights: str,
    steps: int,
    guidance: float,
    guided_down_to: int,
    side_gain_db: float,
    peak_ceiling: float | None,
    licence: str | None,
    trt: bool,
    trt_flavor: str,
    targets: tuple[str, ...],
    verify: Path | None,
) -> int:
    """Turn CHECKPOINT (default: the newest in runs/) into a bundle, and check it against the PyTorch model.

    With --trt, --estimator, --steps or --guidance, CHECKPOINT may be a bundle, which they are put into; with --decoder
    it must be one. With --verify, a CHECKPOINT given as well is the reference; without one, the fingerprints in the
    bundle are.
    """
    from samuel_export.parity.compare import ParityError
    from samuel_runtime.files import recover_dir
    from samuel_runtime.settings import Precision

    for folder in (checkpoint, output, verify):
        if folder is not None:
            recover_dir(folder)
    if not trt:
        _refuse(context, {"trt_flavor", "targets"}, "without --trt")
    try:
        if verify is not None:
            return _verify(context, verify, checkpoint, codec_location)
        if trt:
            _check_builder(trt_flavor, targets)  # before the work of an export
        hearing = [path if _is_bundle(path) else _loaded_estimator(path) for path in estimators]
        defaults = {name: context.params[name] for name in sorted(_DEFAULT_OPTIONS) if _given(context, name)}
        if decoder is not None:
            idle = _EXPORT_OPTIONS - {"output"} | (set() if trt else {"precision"})
            _refuse(context, idle, "with --decoder")
            target = _replace_decoder(context, checkpoint, decoder, output)
        elif (trt or hearing or defaults) and checkpoint is not None and _is_bundle(checkpoint):
            idle = _EXPORT_OPTIONS - _DEFAULT_OPTIONS - ({"output"} if hearing or defaults else set())
            _refuse(context, idle | (set() if trt else {"precision"}), "on a bundle")
            target = checkpoint
        else:
            graphs = Precision.FP32 if trt or precision is None else Precision(precision)
            if graphs is not Precision.FP32:
                _refuse(context, {"weights"}, f"with --precision {precision}")
            guided, asked = Guidance(guidance, guided_down_to), defaults.get("steps")
            target = _export(checkpoint, output, codec_location, graphs, weights, guided, asked, licence)
        if defaults:
            target = _set_defaults(target, output or target, defaults)
        if hearing:
            target = _add_estimators(target, hearing, output or target)
        if trt:
            _add_engines(target, precision, trt_flavor, targets)
    except ParityError as error:
        _say(f"error: {error}")
        return 1
    click.echo(str(target))
    return 0


def _verify(context: click.Context, bundle: Path, checkpoint: Path | None, codec_location: str | None) -> int:
    from samuel_export.bundle import verify_bundle

    idle = _EXPORT_OPTIONS | {"decoder", "estimators", "precision", "trt", "trt_flavor", "targets"}
    _refuse(context, idle - {"codec_location"} if checkpoint is not None else idle, "on this --verify")
    passed = verify_bundle(bundle, _say, None if checkpoint is None else _loaded(checkpoint, codec_location))
    click.echo(f"{bundle}: {'equal' if passed else 'NOT equal'} to its model")
    return 0 if passed else 1


def _export(
    checkpoint: Path | None,
    output: Path | None,
    codec_location: str | None,
    precision: Precision,
    weights: str,
    guidance: Guidance,
    steps: int | None,
    licence: str | None,
) -> Path:
    from samuel_export.bundle import write_bundle
    from samuel_export.precision.weights import WeightFormat
    from samuel_runtime.diffusion.schedule import check_steps

    path = checkpoint or newest_checkpoint(_RUNS)
    found, codec = _loaded(path, codec_location)
    if licence is not None:
        found = replace(found, provenance={**found.provenance, "licence": licence})
    if steps is not None:
        check_steps(steps, found.config.timesteps)  # before the work
    out = output or path.parent / "bundle"
    return write_bundle(found, codec, out, WeightFormat(weights), guidance, _say, precision)


def _replace_decoder(context: click.Context, bundle: Path | None, codec_location: str, output: Path | None) -> Path:
    from samuel_export.replace_decoder import replace_decoder
    from samuel_train.codec import load_codec

    if bundle is None or not _is_bundle(bundle):
        raise click.UsageError(
            "--decoder goes into a bundle; name its folder: samuel-export BUNDLE --decoder CODEC", context
        )
    return replace_decoder(bundle, load_codec(codec_location), output or bundle, _say)


def _set_defaults(bundle: Path, output: Path, defaults: dict[str, Any]) -> Path:
    from samuel_export.defaults import set_defaults

    return set_defaults(bundle, output, **defaults)


def _loaded_estimator(path: Path) -> EstimatorCheckpoint:
    from samuel_train.listen.checkpoint import load_estimator

    return load_estimator(path)


def _add_estimators(bundle: Path, estimators: list[EstimatorCheckpoint | Path], output: Path) -> Path:
    from samuel_export.estimator import add_estimators

    return add_estimators(bundle, estimators, output, _say)


def _add_engines(bundle: Path, precision: str | None, flavor: str, targets: tuple[str, ...]) -> None:
    from samuel_export.tensorrt.add_engines import add_engines
    from samuel_runtime.settings import Precision

    add_engines(bundle, Precision(precision or _ENGINE_PRECISION), _flavor(flavor), targets, _say)


def _check_builder(flavor: str, targets: tuple[str, ...]) -> None:
    from samuel_export.tensorrt.add_engines import check_builder

    check_builder(_flavor(flavor), targets)


def _flavor(name: str) -> Flavor | None:
    from samuel_runtime.settings import Flavor

    return None if name == "auto" else Flavor(name)


def _loaded(path: Path, codec_location: str | None) -> tuple[Checkpoint, Codec]:
    from samuel_train.codec import load_codec
    from samuel_train.model.checkpoint import load_checkpoint

    found = load_checkpoint(path)
    return found, load_codec(codec_location or found.provenance.get("codec", _DEFAULT_CODEC))


def _is_bundle(path: Path) -> bool:
    from samuel_runtime.bundle.manifest import MANIFEST_NAME

    try:
        return (path / MANIFEST_NAME).is_file()
    except OSError:  # a name that the file system refuses is none
        return False


def _say(line: str) -> None:
    click.echo(line, err=True)


def _refuse(context: click.Context, idle: set[str], where: str) -> None:
    """Refuse options that were given and would have no effect."""
    for option in context.command.params:
        if option.name in idle and _given(context, option.name):
            raise click.UsageError(f"{option.opts[-1]} has no effect {where}; leave it out", context)


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
