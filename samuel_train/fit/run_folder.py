"""The folder of a run: what is in it, and whether it may be started or continued."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name, replacing
from samuel_train.fit.settings import FitConfig

RUNS = Path("runs")
"""Where runs go that are given no folder."""

CHECKPOINT_FILE = "checkpoint.safetensors"
METRICS_FILE = "metrics.jsonl"
SETTINGS_FILE = "settings.json"
STATE_FILE = Path("last", "state.pt")

_MAY_CHANGE = {"epochs", "max_steps", "max_minutes", "patience", "save_every_minutes", "log_every_steps"}
"""Settings of [fit] that a resumed run may change."""


def load_run_settings(out: Path) -> FitConfig:
    """Settings of the run in ``out``.

    Raises:
        UserError: if there is no run.
    """
    path = out / SETTINGS_FILE
    try:
        return FitConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read, so there is no run to continue; leave --resume out") from error


def newest_run() -> Path:
    """The folder in ``runs/`` whose state was saved last.

    Raises:
        UserError: if there is none.
    """
    states = sorted(RUNS.glob(f"*/{STATE_FILE.as_posix()}"), key=lambda path: path.stat().st_mtime)
    if not states:
        raise UserError(f"{RUNS}: holds no run to continue; leave --resume out, or name the run with -o")
    return states[-1].parent.parent


def check_same_run(out: Path, config: FitConfig) -> None:
    """Make sure that ``config`` continues the run in ``out``.

    Raises:
        UserError: if there is no run, or a setting differs that must not.
    """
    before, now = load_run_settings(out).to_dict(), config.to_dict()
    refuse_changes(out, before["model"], now["model"])
    refuse_changes(out, before["fit"], now["fit"], may_change=_MAY_CHANGE)


def refuse_changes(
    out: Path, before: Mapping[str, Any], now: Mapping[str, Any], may_change: Collection[str] = ()
) -> None:
    """Make sure that a resumed run keeps its settings; names that are not in ``before`` are new and pass.

    Raises:
        UserError: naming the first setting that differs and is not one of ``may_change``.
    """
    for name, value in now.items():
        if name in before and name not in may_change and value != before[name]:
            raise UserError(
                f"{out}: was started with {name} = {before[name]!r}, not {value!r}; "
                "keep it, or start a new run in another folder without --resume"
            )


def refuse_other_run(out: Path) -> None:
    """Make sure that a new run overwrites none, nor a checkpoint whose run was deleted.

    Raises:
        UserError: if there is one in ``out``.
    """
    if (out / STATE_FILE).exists():
        raise UserError(f"{out}: holds a run already; continue it with --resume or choose another folder with -o")
    if (out / CHECKPOINT_FILE).exists():
        raise UserError(
            f"{out / CHECKPOINT_FILE}: a new run would replace this checkpoint, and without {STATE_FILE.as_posix()} "
            "it cannot be resumed; choose another folder with -o, or go on from it with --from"
        )


def open_run(out: Path, config: FitConfig, resume: bool) -> None:
    """Make the folder, write down the settings, and clear away what a killed run left unfinished.

    Raises:
        UserError: if the folder cannot be written to, or its name is not text.
    """
    check_name(out)
    try:
        (out / STATE_FILE).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be created ({error.strerror}); choose another folder with -o") from error
    for leftover in (out / STATE_FILE).parent.glob(f".{STATE_FILE.stem}-*"):
        leftover.unlink()
    if not resume:
        (out / METRICS_FILE).unlink(missing_ok=True)
    with replacing(out / SETTINGS_FILE) as temporary:
        temporary.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
