"""Training of the estimator: it learns, goes on where it stopped, and what is broken is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from samuel_runtime.errors import UserError
from samuel_train.listen.checkpoint import EstimatorCheckpoint, load_estimator, save_estimator
from samuel_train.listen.config import ChordConfig, EstimatorConfig, StackConfig
from samuel_train.listen.estimator.examples import CROPS
from samuel_train.listen.estimator.network import EstimatorNetwork
from samuel_train.listen.loop import CHECKPOINT_NAME, METRICS_NAME, train_estimator
from samuel_train.listen.settings import ListenSettings
from tests.support.train.miniature_scores import TUNE

CONFIG = EstimatorConfig(width=8, octaves=3, stacks=1)
OF_CHORDS = ChordConfig(width=8, octaves=3, stacks=1)


def settings(steps: int) -> ListenSettings:
    return ListenSettings(steps=steps, batch_frames=max(CROPS), reservoir=4, renewed=1, validation_songs=1,
                          warmup_steps=5, learning_rate=1e-2, log_every_steps=1)  # fmt: skip


def logged(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / METRICS_NAME).read_text().splitlines()]


@pytest.mark.parametrize(("config", "share"), [(CONFIG, 0.8), (OF_CHORDS, 0.9)])
def test_a_short_training_lowers_the_loss(config: StackConfig, share: float, tmp_path: Path) -> None:
    found = train_estimator(tmp_path / "run", settings(24), config=config)
    losses = logged(tmp_path / "run")
    assert np.mean(losses[-4:]) < share * np.mean(losses[:4])
    assert 0 <= found["root_share"] <= 1 and found["loss"] < losses[0]
    assert load_estimator(tmp_path / "run" / CHECKPOINT_NAME).config == config


@pytest.mark.parametrize("config", [CONFIG, OF_CHORDS])
def test_a_run_that_stopped_goes_on_with_the_same_songs(config: StackConfig, tmp_path: Path) -> None:
    train_estimator(tmp_path / "run", settings(2), config=config)
    with pytest.raises(UserError, match="--resume"):
        train_estimator(tmp_path / "run", settings(2), config=config)
    train_estimator(tmp_path / "run", settings(4), resume=True)
    assert len(logged(tmp_path / "run")) == 4
    with pytest.raises(UserError, match="learning_rate"):
        other = ListenSettings(steps=5)
        train_estimator(tmp_path / "run", other, resume=True)


def test_a_run_does_not_go_on_with_its_scores_in_other_collections(tmp_path: Path) -> None:
    train_estimator(tmp_path / "run", settings(1), collections=[[TUNE], [TUNE]], config=CONFIG)
    with pytest.raises(UserError, match=r"collections = \[1, 1\], not \[2\]"):
        train_estimator(tmp_path / "run", settings(2), collections=[[TUNE, TUNE]], resume=True)


def test_a_run_does_not_go_on_as_the_other_estimator(tmp_path: Path) -> None:
    train_estimator(tmp_path / "run", settings(1), config=CONFIG)
    with pytest.raises(UserError, match="graph"):
        train_estimator(tmp_path / "run", settings(2), config=OF_CHORDS, resume=True)


def test_a_run_begins_with_the_weights_of_another_and_says_so(tmp_path: Path) -> None:
    train_estimator(tmp_path / "first", settings(2), config=CONFIG)
    first = load_estimator(tmp_path / "first" / CHECKPOINT_NAME)
    still = replace(settings(1), learning_rate=0.0)  # so that the second run ends with what it began with
    train_estimator(tmp_path / "second", still, start=first)
    second = load_estimator(tmp_path / "second" / CHECKPOINT_NAME)
    assert second.config == CONFIG
    assert all(torch.equal(second.weights[name], first.weights[name]) for name in first.weights if "norm" not in name)
    assert second.provenance["start_training"] == first.provenance["training"]
    train_estimator(tmp_path / "second", replace(still, steps=2), resume=True)
    assert load_estimator(tmp_path / "second" / CHECKPOINT_NAME).provenance["start_training"].endswith("melodies")
    with pytest.raises(UserError, match="width=8"):
        train_estimator(tmp_path / "third", still, config=EstimatorConfig(), start=first)


@pytest.mark.parametrize("fault", ["cut", "not one", "NaN", "config", "graph"])
def test_a_broken_file_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "estimator.safetensors"
    weights = {name: weight.clone() for name, weight in EstimatorNetwork(CONFIG).state_dict().items()}
    save_estimator(path, EstimatorCheckpoint(CONFIG, weights, {"training": "none"}))
    content = path.read_bytes()
    if fault == "cut":
        path.write_bytes(content[:-8])
    elif fault == "not one":
        path.write_bytes(b"PK\x03\x04" + bytes(100))
    elif fault == "NaN":
        at = content.rfind(np.float32(weights["pulses.bias"][0].item()).tobytes())
        path.write_bytes(content[:at] + np.float32(np.nan).tobytes() + content[at + 4 :])
    elif fault == "graph":
        path.write_bytes(content.replace(b'"graph":"\\"estimator\\""', b'"graph":"\\"drumsound\\""'))
    else:
        path.write_bytes(content.replace(b'\\"width\\": 8', b'\\"width\\": 9'))
    with pytest.raises(UserError, match=r"estimator\.safetensors: ") as refusal:
        load_estimator(path)
    assert "\n" not in str(refusal.value)
