"""Two processes train as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from samuel_train.fit.metrics_log import read_metrics
from tests.samuel_train.model.test_vocal_context import taught
from tests.support.train.toy import write_latents

_CONFIG = """
[model]
base_channels = 8
time_width = 16
heads = 2
[fit]
batch = 4
frames_min = 16
frames_max = 32
max_steps = 6
validation_examples = 3
validate_every_steps = 3
log_every_steps = 1
"""


def _run(folder: Path, out: str, *launcher: str) -> subprocess.CompletedProcess[str]:
    command = [*launcher, "-m", "samuel_train.cli", "fit", "latents", "-o", out, "--config", "fit.toml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command, "--device", "cpu"], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("annotated", [False, True])
def test_two_processes_train_to_the_losses_of_one(tmp_path: Path, annotated: bool) -> None:
    if annotated:
        taught(tmp_path / "latents")
        config = _CONFIG.replace("heads = 2", "heads = 2\nvocal_context_width = 8") + "auxiliary_steps = 3\n"
    else:
        write_latents(tmp_path / "latents", entries=10)
        config = _CONFIG
    (tmp_path / "fit.toml").write_text(config)
    one = _run(tmp_path, "one")
    two = _run(tmp_path, "two", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert one.returncode == two.returncode == 0, one.stderr + two.stderr
    assert one.stdout.startswith("one/checkpoint.safetensors: validation loss")
    assert two.stdout.count("validation loss") == 1  # the main process alone speaks
    lines = [read_metrics(tmp_path / run / "metrics.jsonl") for run in ("one", "two")]
    assert len(lines[0]) == len(lines[1]) == 8
    for single, double in zip(*lines, strict=True):
        assert single.keys() == double.keys()
        if "loss" in single:
            assert double["loss"] == pytest.approx(single["loss"], rel=1e-5)
            assert double["auxiliary_loss"] == pytest.approx(single["auxiliary_loss"], rel=1e-5)
            assert double["gradient_norm"] == pytest.approx(single["gradient_norm"], rel=1e-4)
        else:
            for name, expected in single["validation"].items():
                assert double["validation"][name] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_two_processes_stopped_at_step_2_where_nothing_is_written_about_the_songs(tmp_path: Path) -> None:
    """They wait for the gradient of every parameter, and what predicts beats and chords has none."""
    write_latents(tmp_path / "latents", entries=10)
    (tmp_path / "fit.toml").write_text(_CONFIG.replace("heads = 2", "heads = 2\nvocal_context_width = 8"))
    done = _run(tmp_path, "two", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("after 6 steps")


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    write_latents(tmp_path / "latents", entries=4)
    (tmp_path / "fit.toml").write_text(_CONFIG.replace("batch = 4", "batch = 5"))
    done = _run(tmp_path, "run", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert done.returncode != 0
    assert "batch (5) must be a multiple of the processes (2)" in done.stderr
    assert not (tmp_path / "run").exists(), json.dumps([str(path) for path in tmp_path.rglob("*")])
