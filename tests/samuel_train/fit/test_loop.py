"""Training runs of seconds: learning, resumption to the bit, early end, faults."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from samuel_runtime.errors import UserError
from samuel_train.data.latents import latent_statistics, read_latents, split_songs
from samuel_train.device.choice import has_bfloat16
from samuel_train.fit import loop as fit_module
from samuel_train.fit import validation
from samuel_train.fit.batches import Batch, Batches
from samuel_train.fit.loop import fit, learning_rate
from samuel_train.fit.metrics_log import Line, read_metrics
from samuel_train.fit.run_folder import STATE_FILE, load_run_settings
from samuel_train.fit.settings import FitConfig, MixedPrecision
from samuel_train.fit.state import load_state
from samuel_train.model.checkpoint import load_checkpoint
from tests.support.train.toy import settings, write_latents

pytestmark = pytest.mark.usefixtures("without_pictures")
_SAMPLING_STEPS = 2


@pytest.fixture(scope="module", autouse=True)
def _quick_runs() -> Iterator[None]:
    """What validation samples for a picture is short; small tensors are quickest on one thread, whose number decides
    the last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "_SAMPLING_STEPS", _SAMPLING_STEPS)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def latents(_quick_runs: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_latents(tmp_path_factory.mktemp("data") / "latents", entries=10)


@pytest.fixture(scope="module")
def finished(latents: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight steps that nothing disturbed."""
    out = tmp_path_factory.mktemp("finished") / "run"
    fit(latents, out, settings(), "cpu")
    return out


def _history(run: Path) -> list[Line]:
    """Metrics without what the clock decides."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_metrics(run / "metrics.jsonl")]


def _interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    draw = Batches.__getitem__

    def interrupted(self: Batches, index: int) -> Batch:
        if index == step:
            raise KeyboardInterrupt
        return draw(self, index)

    monkeypatch.setattr(Batches, "__getitem__", interrupted)


def test_a_run_leaves_all_its_files(finished: Path) -> None:
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert names == {
        "checkpoint.safetensors", "settings.json", "metrics.jsonl", "last/state.pt",
        "losses.png", "buckets.png", "sampling.png",
    }  # fmt: skip
    lines = read_metrics(finished / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 9))
    assert [line["step"] for line in lines if "validation" in line] == [4, 8]
    assert all(line["seconds"] > 0 and line["epoch"] == line["step"] * 4 / 8 for line in lines)


def test_the_checkpoint_is_the_average_at_the_best_validation(latents: Path, finished: Path) -> None:
    checkpoint = load_checkpoint(finished / "checkpoint.safetensors")
    losses = {line["step"]: line["validation"]["loss"] for line in _history(finished) if "validation" in line}
    best = min(losses, key=losses.__getitem__)
    assert checkpoint.provenance["steps"] == str(best)
    state = load_state(finished / STATE_FILE)
    assert state.best == losses[best]
    if best == 8:
        assert all(torch.equal(checkpoint.weights[name], state.ema[name]) for name in state.ema)
    assert not torch.equal(state.model["x_encoder.weight"], checkpoint.weights["x_encoder.weight"])
    data = read_latents(latents)
    expected = latent_statistics(data, split_songs(data, 0.2, seed=0).training)
    assert checkpoint.statistics.to_dict() == expected.to_dict()
    assert checkpoint.frames_min == 16


def test_the_same_run_twice_is_the_same_to_the_bit(latents: Path, finished: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # no global generator may matter
    np.random.seed(99)  # noqa: NPY002
    fit(latents, tmp_path / "run", settings(), "cpu")
    assert _history(tmp_path / "run") == _history(finished)
    again = load_file(tmp_path / "run" / "checkpoint.safetensors")
    assert all(
        torch.equal(tensor, again[name]) for name, tensor in load_file(finished / "checkpoint.safetensors").items()
    )


@pytest.mark.parametrize(("interrupted_at", "save_every_minutes"), [(3, 0), (6, 0), (6, 60)])
def test_a_resumed_run_continues_to_the_same_losses(
    latents: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupted_at: int,
    save_every_minutes: float,
) -> None:
    config = settings(save_every_minutes=save_every_minutes)
    with monkeypatch.context() as patch:
        _interrupt_at(patch, interrupted_at)
        with pytest.raises(KeyboardInterrupt):
            fit(latents, tmp_path, config, "cpu")
    assert load_state(tmp_path / STATE_FILE).step == (0 if save_every_minutes else interrupted_at)
    fit(latents, tmp_path, config, "cpu", resume=True)
    assert _history(tmp_path) == _history(finished)
    resumed, straight = load_state(tmp_path / STATE_FILE), load_state(finished / STATE_FILE)
    for name in ("model", "ema"):
        assert all(torch.equal(t, getattr(resumed, name)[k]) for k, t in getattr(straight, name).items())


def test_averaged_losses_survive_a_resumption_between_two_lines(
    latents: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(log_every_steps=3, save_every_minutes=0)
    with monkeypatch.context() as patch:
        _interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            fit(latents, tmp_path / "resumed", config, "cpu")
    fit(latents, tmp_path / "resumed", config, "cpu", resume=True)
    each = [line["loss"] for line in _history(finished) if "loss" in line]
    averages = [line["loss"] for line in _history(tmp_path / "resumed") if "loss" in line]
    assert averages == [sum(each[:3]) / 3, sum(each[3:6]) / 3]


def test_a_killed_process_is_resumed_to_the_same_losses(latents: Path, finished: Path, tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from samuel_train.fit.loop import fit\n"
        "from samuel_train.fit.settings import FitConfig; import json; from samuel_train.fit import validation\n"
        f"torch.set_num_threads(1); validation._SAMPLING_STEPS = {_SAMPLING_STEPS}\n"
        "fit(Path(sys.argv[1]), Path(sys.argv[2]), FitConfig.from_dict(json.loads(sys.argv[3])), 'cpu')\n"
    )
    config = settings(save_every_minutes=0)
    arguments = [str(latents), str(tmp_path / "run"), json.dumps(config.to_dict())]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(read_metrics(tmp_path / "run" / "metrics.jsonl")) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    fit(latents, tmp_path / "run", config, "cpu", resume=True)
    assert _history(tmp_path / "run") == _history(finished)
    assert [path.name for path in (tmp_path / "run" / "last").iterdir()] == ["state.pt"]


def test_training_learns_to_use_the_voice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mood = rng.choice([-1.0, 1.0], (20, 2))  # what voice and band of a song have in common
    for name in ("latent_vocal.npy", "latent_accomp.npy"):
        level = (mood @ rng.standard_normal((2, 64)))[:, :, None]
        np.save(tmp_path / name, (level + 0.3 * rng.standard_normal((20, 64, 1024))).astype(np.float32))
    config = settings(batch=8, max_steps=40, validate_every_steps=40, learning_rate=6e-3, ema_decay=0.8)
    config = replace(config, model=replace(config.model, base_channels=16))
    fit(tmp_path, tmp_path / "run", config, "cpu")
    measured = _history(tmp_path / "run")[-1]["validation"]
    noisiest = {name: measured[name][-1] for name in ("own", "other", "null")}
    assert noisiest["own"] < 0.5 * noisiest["null"] < noisiest["other"]


def test_learning_rate_is_a_cosine() -> None:
    config = FitConfig()
    rates = [learning_rate(config, progress) for progress in (0, 0.5, 1, 1.5)]
    assert rates == pytest.approx([3.5e-4, (3.5e-4 + 1e-7) / 2, 1e-7, 1e-7])


def test_learning_rate_is_annealed_over_the_steps_that_are_asked_for(finished: Path) -> None:
    rates = [line["learning_rate"] for line in _history(finished) if "loss" in line]
    assert rates == pytest.approx([learning_rate(FitConfig(), step / 8) for step in range(8)])


def test_a_time_limit_ends_the_run_and_anneals_over_it(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 1))
    monkeypatch.setattr(fit_module.time, "monotonic", lambda: next(clock))
    fitted = fit(latents, tmp_path, settings(max_steps=None, max_minutes=1), "cpu")
    rates = [line["learning_rate"] for line in _history(tmp_path) if "loss" in line]
    assert 5 < fitted.steps < 60
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.1 * rates[0]
    assert "validation" in _history(tmp_path)[-1]


def test_a_run_goes_on_from_a_checkpoint_with_other_songs(latents: Path, finished: Path, tmp_path: Path) -> None:
    others = write_latents(tmp_path / "others", entries=10, seed=1)
    start = load_checkpoint(finished / "checkpoint.safetensors")
    config = settings(max_steps=4, learning_rate=1e-12, learning_rate_end=0.0, weight_decay=0.0)
    with pytest.raises(UserError, match="do not fit"):
        other = replace(config, model=replace(config.model, base_channels=2 * config.model.base_channels))
        fit(others, tmp_path / "run", other, "cpu", start=start)
    fit(others, tmp_path / "run", config, "cpu", start=start)
    after = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert after.config == start.config
    assert after.statistics.to_dict() == start.statistics.to_dict()
    assert json.loads(after.provenance["start"]) == start.provenance
    for name, weight in start.weights.items():
        torch.testing.assert_close(after.weights[name], weight, rtol=0, atol=1e-8)
    fit(others, tmp_path / "run", replace(config, max_steps=8), "cpu", resume=True)
    resumed = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert resumed.statistics.to_dict() == start.statistics.to_dict()
    assert "start" in resumed.provenance


def test_a_run_without_improvement_ends_early(latents: Path, tmp_path: Path) -> None:
    config = settings(max_steps=40, validate_every_steps=2, patience=2, learning_rate=0, learning_rate_end=0)
    assert fit(latents, tmp_path, config, "cpu").steps == 6  # best at 2, then two without improvement


def test_a_finished_run_can_be_made_longer(latents: Path, tmp_path: Path) -> None:
    fit(latents, tmp_path, settings(max_steps=4), "cpu")
    assert fit(latents, tmp_path, settings(max_steps=4), "cpu", resume=True).steps == 4
    assert fit(latents, tmp_path, settings(max_steps=8), "cpu", resume=True).steps == 8
    assert load_run_settings(tmp_path).max_steps == 8


def test_bfloat16_trains_close_to_float32(latents: Path, finished: Path, tmp_path: Path) -> None:
    fit(latents, tmp_path, settings(mixed_precision="bf16"), "cpu")
    losses, exact = ([line["loss"] for line in _history(run) if "loss" in line] for run in (tmp_path, finished))
    assert losses == pytest.approx(exact, rel=0.02)
    assert (losses != exact) is has_bfloat16(torch.device("cpu"))  # where it is emulated it is not used


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_was_chosen_by_hand_and_emulated_without_a_word(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(fit_module, "has_bfloat16", lambda device: native)
    expected = {"auto": "bf16" if native else "no", "bf16": "bf16" if native else "no", "no": "no", "fp16": "fp16"}
    chosen = {each.value: fit_module.native_precision(each, torch.device("cpu")).value for each in MixedPrecision}
    assert chosen == expected
    assert fit_module.native_precision(MixedPrecision.AUTO, torch.device("mps")) is MixedPrecision.NO
    assert FitConfig().mixed_precision is MixedPrecision.AUTO


def test_what_auto_chose_is_said(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fit_module, "has_bfloat16", lambda device: False)
    fit(latents, tmp_path, settings(max_steps=1, mixed_precision="auto"), "cpu")
    assert "mixed_precision auto on cpu: float32, as it does not compute in bfloat16" in capsys.readouterr().err
    assert load_run_settings(tmp_path).mixed_precision is MixedPrecision.AUTO


def test_a_loss_that_is_not_finite_stops_the_run(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Batches.__getitem__

    def poisoned(self: Batches, step: int) -> Batch:
        batch = draw(self, step)
        return batch._replace(noise=batch.noise * float("nan")) if step == 2 else batch

    monkeypatch.setattr(Batches, "__getitem__", poisoned)
    with pytest.raises(UserError, match=r"loss nan .* at step 3; lower learning_rate"):
        fit(latents, tmp_path, settings(save_every_minutes=0), "cpu")
    assert load_state(tmp_path / STATE_FILE).step == 2


def _overflowing(monkeypatch: pytest.MonkeyPatch, steps: range) -> None:
    """At these steps, counted from 1, the gradient is not a number although the loss is."""
    clip, calls = Accelerator.clip_grad_norm_, itertools.count(1)

    def overflowed(self: Accelerator, parameters: Iterable[torch.nn.Parameter], norm_max: float) -> torch.Tensor:
        parameters = list(parameters)
        if next(calls) in steps:
            for parameter in parameters:
                parameter.grad.mul_(float("nan"))
        return clip(self, parameters, norm_max)

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", overflowed)


def test_a_step_whose_gradient_overflows_teaches_nothing(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(latents, tmp_path / "before", settings(max_steps=1), "cpu")
    _overflowing(monkeypatch, range(2, 4))
    fit(latents, tmp_path / "after", settings(max_steps=3, ema_decay=0), "cpu")
    before, after = (load_state(tmp_path / run / STATE_FILE).model for run in ("before", "after"))
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_gradients_that_keep_overflowing_stop_the_run(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _overflowing(monkeypatch, range(2, 100))
    with pytest.raises(UserError, match=r"gradient norm nan at step 22; lower learning_rate"):
        fit(latents, tmp_path, settings(max_steps=30, validate_every_steps=100), "cpu")


def _refused(match: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(UserError, match=match):
        fit(*arguments, **options)


def test_runs_are_not_overwritten_or_mixed_up(latents: Path, finished: Path, tmp_path: Path) -> None:
    _refused("--resume or choose another", latents, finished, settings(), "cpu")
    _refused("batch = 4, not 8", latents, finished, settings(batch=8), "cpu", resume=True)
    other = write_latents(tmp_path / "other", entries=10, seed=5)
    _refused("other latents", other, finished, settings(), "cpu", resume=True)
    _refused("no run to continue", latents, tmp_path / "nothing", settings(), "cpu", resume=True)


def test_a_run_folder_whose_name_is_not_utf8_was_a_traceback_after_training(latents: Path, tmp_path: Path) -> None:
    _refused("not readable text", latents, tmp_path / os.fsdecode(b"caf\xe9"), settings(), "cpu")


def test_a_run_whose_state_was_deleted_lost_its_checkpoint(latents: Path, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    shutil.rmtree(run / "last")
    before = (run / "checkpoint.safetensors").read_bytes()
    _refused(r"checkpoint\.safetensors: a new run would replace", latents, run, settings(), "cpu")
    assert (run / "checkpoint.safetensors").read_bytes() == before


def test_a_damaged_state_is_refused(latents: Path, tmp_path: Path) -> None:
    fit(latents, tmp_path, settings(max_steps=1), "cpu")
    state = tmp_path / STATE_FILE
    for content in (state.read_bytes()[:1000], b"", b"cos\nsystem\n(S'echo'\ntR."):
        state.write_bytes(content)
        _refused("state.pt: cannot be read", latents, tmp_path, settings(max_steps=1), "cpu", resume=True)


def test_impossible_devices_are_refused(latents: Path, tmp_path: Path) -> None:
    _refused("device 'tpu' is unknown", latents, tmp_path, settings(), "tpu")
    _refused("fp16 needs a GPU", latents, tmp_path, settings(mixed_precision="fp16"), "cpu")
    if not torch.cuda.is_available():
        _refused("'cuda' is not available", latents, tmp_path, settings(), "cuda")
