"""Settings: defaults, TOML, and what is refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from samuel_runtime.errors import UserError
from samuel_train.fit.settings import FitConfig, MixedPrecision, load_settings
from samuel_train.model.config import Alignment


def _load(tmp_path: Path, text: str) -> FitConfig:
    path = tmp_path / "fit.toml"
    path.write_text(text)
    return load_settings(path)


def test_defaults_are_the_papers() -> None:
    config = FitConfig()
    paper = (config.epochs, config.batch, config.learning_rate, config.learning_rate_end, config.ema_decay)
    assert paper == (100, 32, 3.5e-4, 1e-7, 0.995)
    assert (config.patience, config.validation_fraction, config.condition_dropout) == (30, 0.2, 0.1)


def test_both_tables_are_read(tmp_path: Path) -> None:
    config = _load(
        tmp_path,
        '[model]\nbase_channels = 32\nalignment = "published-code"\n[fit]\nbatch = 4\nmixed_precision = "bf16"\n',
    )
    assert (config.model.base_channels, config.model.alignment) == (32, Alignment.PUBLISHED_CODE)
    assert (config.batch, config.mixed_precision) == (4, MixedPrecision.BF16)
    assert config.epochs == 100


def test_plain_values_come_back(tmp_path: Path) -> None:
    config = _load(tmp_path, "[model]\nheads = 4\n[fit]\nmax_minutes = 2.5\nseed = 9\n")
    assert FitConfig.from_dict(config.to_dict()) == config


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        FitConfig().batch = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[fit]\nbatchsize = 4", "batchsize; did you mean batch"),
        ("[fit]\nlearningrate = 1", "did you mean learning_rate"),
        ("[model]\nbase_chanels = 4", "did you mean base_channels"),
        ("[fits]\nbatch = 4", "table: fits; did you mean fit"),
        ("batch = 4", "unknown table: batch"),
        ("[fit]\nxyzzy = 4", "xyzzy; known: auxiliary_learning_rate"),
        ("fit = 3", "fit must be a table"),
        ("[fit\n", "not TOML"),
        ("[fit]\nbatch = 0", "batch must be an integer from 1"),
        ("[fit]\nbatch = 1.5", "batch must be an integer"),
        ("[fit]\nbatch = true", "batch must be an integer"),
        ("[fit]\nlearning_rate = nan", "learning_rate must be a number"),
        ('[fit]\nmixed_precision = "fp8"', "mixed_precision must be one of auto, no, bf16, fp16"),
        ("[fit]\nframes_min = 100", "frames_min must be a multiple of 8"),
        ("[fit]\nframes_min = 64\nframes_max = 32", "frames_min must not exceed"),
        ("[model]\nheads = 3", "multiple of"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=rf"fit\.toml: .*{reason}"):
        _load(tmp_path, text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "fit.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"fit\.toml: cannot be read"):
        load_settings(path)
