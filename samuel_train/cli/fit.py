"""``samuel-train fit``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samuel_runtime.errors import UserError

if TYPE_CHECKING:
    from samuel_train.fit.settings import FitConfig
    from samuel_train.model.checkpoint import Checkpoint


@click.command("fit")
@click.argument("latents")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the run. [default: runs/DATE-TIME; with --resume the newest run]",
)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with the tables [model] and [fit].")
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path),
    metavar="CHECKPOINT",
    help="Begin with the weights of this checkpoint, to go on with other songs or settings; they must fit [model], "
    "which is the checkpoint's if there is no --config.",
)
@click.option(
    "--own-statistics",
    is_flag=True,
    help="With --from: normalise by the statistics of LATENTS instead of the checkpoint's, when its codec was trained "
    "further since.",
)
@click.option("--resume", is_flag=True, help="Continue a run that was stopped, to the same result.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, help="Overrides the config, as do the options below.")
@click.option("--epochs", type=int)
@click.option("--batch", type=int, help="Examples in a step, over all processes together.")
@click.option("--max-steps", type=int, help="Steps, instead of epochs.")
@click.option("--max-minutes", type=float, help="Time limit; the learning rate is annealed over it.")
@click.option("--mixed-precision", help="auto (bf16 where the device computes in it, else no), no, bf16 or fp16.")
def command(
    latents: str,
    out: Path | None,
    config: Path | None,
    start: Path | None,
    own_statistics: bool,
    resume: bool,
    device: str,
    **overrides: Any,
) -> None:
    """Train a denoiser on LATENTS: a folder that `prepare` wrote, or kaggle:OWNER/DATASET.

    Several GPUs or machines: accelerate launch -m samuel_train.cli fit LATENTS ...
    """
    from accelerate import PartialState

    from samuel_train.data.kaggle import PREFIX, fetch_latents
    from samuel_train.device.allocator import keep_freed_memory
    from samuel_train.fit.loop import fit
    from samuel_train.fit.run_folder import RUNS, newest_run
    from samuel_train.model.checkpoint import load_checkpoint

    if resume and config is not None:
        raise UserError("--config does not go with --resume: a run keeps its settings; leave --config out")
    if resume and start is not None:
        raise UserError("--from does not go with --resume: a run has begun where it has; leave --from out")
    if own_statistics and start is None:
        raise UserError("--own-statistics goes with --from; a run of its own has no other statistics; leave it out")
    keep_freed_memory()
    checkpoint = None if start is None else load_checkpoint(start)
    folder = fetch_latents(latents.removeprefix(PREFIX)) if latents.startswith(PREFIX) else Path(latents)
    if out is None:
        out = newest_run() if resume else RUNS / time.strftime("%Y%m%d-%H%M%S")
    chosen = {name: value for name, value in overrides.items() if value is not None}
    settings = _settings(out, config, checkpoint, resume, chosen)
    fitted = fit(folder, out, settings, device, resume, checkpoint, own_statistics)
    if PartialState().is_main_process:
        click.echo(f"{fitted.checkpoint}: validation loss {fitted.validation_loss:.4f} after {fitted.steps} steps")
    PartialState().destroy_process_group()


def _settings(
    out: Path, config: Path | None, start: Checkpoint | None, resume: bool, overrides: dict[str, Any]
) -> FitConfig:
    from samuel_train.fit.run_folder import load_run_settings
    from samuel_train.fit.settings import FitConfig, load_settings

    if resume:
        base = load_run_settings(out)
    elif config is not None:
        base = load_settings(config)
    else:
        base = FitConfig() if start is None else FitConfig(model=start.config)
    values = base.to_dict()
    values["fit"] |= overrides
    return FitConfig.from_dict(values)
