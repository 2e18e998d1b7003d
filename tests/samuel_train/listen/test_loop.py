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
from samuel_train.listen.config import EstimatorConfig
from samuel_train.listen.examples import CROPS, Examples, Reservoir, transposed
from samuel_train.listen.loop import CHECKPOINT_NAME, METRICS_NAME, train_estimator
from samuel_train.listen.network import EstimatorNetwork
from samuel_train.listen.settings import ListenSettings

CONFIG = EstimatorConfig(width=8, octaves=3, stacks=1)


def settings(steps: int) -> ListenSettings:
    return ListenSettings(steps=steps, batch_frames=max(CROPS), reservoir=4, renewed=1, validation_songs=1,
                          warmup_steps=5, learning_rate=1e-2, log_every_steps=1)  # fmt: skip


def logged(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / METRICS_NAME).read_text().splitlines()]


def test_a_short_training_lowers_the_loss(tmp_path: Path) -> None:
    found = train_estimator(tmp_path / "run", settings(24), config=CONFIG)
    losses = logged(tmp_path / "run")
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    assert 0 <= found["root_share"] <= 1 and found["loss"] < losses[0]
    assert load_estimator(tmp_path / "run" / CHECKPOINT_NAME).config == CONFIG


def test_a_run_that_stopped_goes_on_with_the_same_songs(tmp_path: Path) -> None:
    train_estimator(tmp_path / "run", settings(2), config=CONFIG)
    with pytest.raises(UserError, match="--resume"):
        train_estimator(tmp_path / "run", settings(2), config=CONFIG)
    train_estimator(tmp_path / "run", settings(4), config=CONFIG, resume=True)
    assert len(logged(tmp_path / "run")) == 4
    with pytest.raises(UserError, match="learning_rate"):
        other = ListenSettings(steps=5)
        train_estimator(tmp_path / "run", other, config=CONFIG, resume=True)


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


def test_crops_are_a_function_of_seed_and_step() -> None:
    first, second = (Reservoir(Examples(3), 3, 4, 1, max(CROPS)) for _ in range(2))
    first.batch(0)
    assert torch.equal(first.batch(1).features, second.batch(1).features)  # also where a run begins later


def test_an_example_comes_back_after_twelve_semitones() -> None:
    example = Examples(0)[0]
    round_trip = example
    for _ in range(4):
        round_trip = transposed(round_trip, 3)
    assert np.array_equal(round_trip.features, example.features)
    assert np.array_equal(round_trip.targets.root, example.targets.root)
    assert round_trip.targets.key == example.targets.key != transposed(example, 1).targets.key


@pytest.mark.parametrize("fault", ["cut", "not one", "NaN", "config"])
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
    else:
        path.write_bytes(content.replace(b'\\"width\\": 8', b'\\"width\\": 9'))
    with pytest.raises(UserError, match=r"estimator\.safetensors: ") as refusal:
        load_estimator(path)
    assert "\n" not in str(refusal.value)
