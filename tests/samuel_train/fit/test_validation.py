"""Validation: fixed draws, conditions told apart, shares that add up."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from samuel_runtime.diffusion.schedule import Prediction, Schedule
from samuel_train.data.latents import Latents, latent_statistics, read_latents, split_songs
from samuel_train.fit.objective import Objective
from samuel_train.fit.validation import BUCKETS, Validation, report
from tests.support.train.toy import settings, write_latents

_CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> Latents:
    songs = [f"song {i // 2}" for i in range(10)]  # two entries each
    return read_latents(write_latents(tmp_path_factory.mktemp("latents"), 10, songs=songs))


class _Recorder(nn.Module):
    """Answers with zeros and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, vocals: Tensor, t: Tensor, sheet: Tensor | None = None) -> Tensor:
        self.calls.append((x, vocals, t))
        return torch.zeros_like(x)


def _validation(latents: Latents, rank: int = 0, processes: int = 1, **fit: object) -> Validation:
    config = settings(validation_fraction=0.6, **fit)
    split = split_songs(latents, config.validation_fraction, seed=0)
    return Validation(latents, split.validation, latent_statistics(latents, split.training), config, rank, processes)


def _sums(validation: Validation, model: nn.Module) -> Tensor:
    return validation.sums(model, Objective(Schedule.cosine(), Prediction.V), _CPU)


def test_every_time_the_same_is_asked(latents: Latents) -> None:
    first, second = _Recorder(), _Recorder()
    validation = _validation(latents)
    assert torch.equal(_sums(validation, first), _sums(validation, second))
    for one, other in zip(first.calls, second.calls, strict=True):
        assert all(map(torch.equal, one, other))


def test_conditions_differ_in_the_vocals_alone(latents: Latents) -> None:
    recorder = _Recorder()
    _sums(_validation(latents), recorder)
    assert len(recorder.calls) == 3 * 4
    for own, other, null in zip(*[iter(recorder.calls)] * 3, strict=True):
        for x, _, t in (other, null):
            assert torch.equal(x, own[0]) and torch.equal(t, own[2])
        assert not null[1].any() and own[1].any()
        assert not torch.equal(own[1], other[1])
        assert torch.equal(own[2] * BUCKETS // 800, torch.arange(BUCKETS))  # a timestep from each bucket


def test_the_other_voice_is_another_songs(latents: Latents) -> None:
    recorder = _Recorder()
    _sums(_validation(latents, validation_examples=6, frames_max=1024), recorder)
    split = split_songs(latents, 0.6, seed=0)
    normalised = latent_statistics(latents, split.training).normalise_vocals(latents.vocals)
    known = {torch.from_numpy(array).sum().item(): song for array, song in zip(normalised, latents.songs, strict=True)}
    for own, other, _ in zip(*[iter(recorder.calls)] * 3, strict=True):
        assert known[own[1][0].sum().item()] != known[other[1][0].sum().item()]


def test_shares_of_processes_add_up(latents: Latents) -> None:
    whole = _sums(_validation(latents), _Recorder())
    shares = [_sums(_validation(latents, rank, 3), _Recorder()) for rank in range(3)]
    torch.testing.assert_close(sum(shares), whole)
    assert whole[-1] == 4


def test_report_is_by_condition_and_bucket(latents: Latents) -> None:
    measured = report(_sums(_validation(latents), _Recorder()))
    assert set(measured) == {"loss", "own", "other", "null"}
    # Answering zero leaves E[v^2] = alpha^2 + sigma^2 var(x0), which is one for z-scores.
    assert measured["own"] == pytest.approx([1.0] * BUCKETS, abs=0.15)
    assert 2 < measured["loss"] < 8


def test_sampling_with_the_exact_velocity_arrives_at_the_data(latents: Latents) -> None:
    schedule, target = Schedule.cosine(), 0.5

    class Exact(nn.Module):
        def forward(self, x: Tensor, vocals: Tensor, t: Tensor, sheet: Tensor | None = None) -> Tensor:
            alpha, sigma = (float(table[int(t[0])]) for table in (schedule.alpha, schedule.sigma))
            return (alpha * x - target) / sigma  # v of x0 = 0.5

    sampled = _validation(latents).sample(Exact(), _CPU, Prediction.V)
    assert len(sampled["mean"]) == len(sampled["std"]) == 10
    assert sampled["mean"][-1] == pytest.approx(target, abs=1e-3)
    assert sampled["std"][-1] == pytest.approx(0, abs=1e-3)
    assert sampled["std"][0] == pytest.approx(1, abs=0.05)


def test_a_single_held_out_song_is_compared_with_itself(tmp_path: Path) -> None:
    latents = read_latents(write_latents(tmp_path, 3, songs=["a", "b", "b"]))
    split = split_songs(latents, 0.2, seed=0)
    validation = Validation(latents, split.validation, latent_statistics(latents, split.training), settings())
    measured = report(_sums(validation, _Recorder()))
    assert measured["other"] == measured["own"]
