"""``samuel-train fit``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samuel_runtime.errors import UserError

if TYPE_CHECKING:
    from samuel_train.settings import FitConfig


@click.command("fit")
@click.argument("latents")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the run. [default: runs/DATE-TIME; with --resume the newest run]",
)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with the tables [model] and [fit].")
@click.option("--resume", is_flag=True, help="Continue a run that was stopped, to the same result.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, help="Overrides the config, as do the options below.")
@click.option("--epochs", type=int)
@click.option("--batch", type=int, help="Examples in a step, over all processes together.")
@click.option("--max-steps", type=int, help="Steps, instead of epochs.")
@click.option("--max-minutes", type=float, help="Time limit; the learning rate is annealed over it.")
@click.option("--mixed-precision", help="no, bf16 or fp16.")
def command(latents: str, out: Path | None, config: Path | None, resume: bool, device: str, **overrides: Any) -> None:
    """Train a denoiser on LATENTS: a folder that `prepare` wrote, or kaggle:OWNER/DATASET.

    Several GPUs or machines: accelerate launch -m samuel_train.cli fit LATENTS ...
    """
    from accelerate import PartialState

    from samuel_train.allocator import keep_freed_memory
    from samuel_train.fit import fit
    from samuel_train.kaggle import PREFIX, fetch_latents
    from samuel_train.runs import RUNS, newest_run

    if resume and config is not None:
        raise UserError("--config does not go with --resume: a run keeps its settings; leave --config out")
    keep_freed_memory()
    folder = fetch_latents(latents.removeprefix(PREFIX)) if latents.startswith(PREFIX) else Path(latents)
    if out is None:
        out = newest_run() if resume else RUNS / time.strftime("%Y%m%d-%H%M%S")
    chosen = {name: value for name, value in overrides.items() if value is not None}
    fitted = fit(folder, out, _settings(out, config, resume, chosen), device, resume)
    if PartialState().is_main_process:
        click.echo(f"{fitted.checkpoint}: validation loss {fitted.validation_loss:.4f} after {fitted.steps} steps")
    PartialState().destroy_process_group()


def _settings(out: Path, config: Path | None, resume: bool, overrides: dict[str, Any]) -> FitConfig:
    from samuel_train.runs import load_run_settings
    from samuel_train.settings import FitConfig, load_settings

    base = load_run_settings(out) if resume else FitConfig() if config is None else load_settings(config)
    values = base.to_dict()
    values["fit"] |= overrides
    return FitConfig.from_dict(values)
