"""Reading latents, splitting them, their statistics, and the batches drawn from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.raster import CHANNELS as SHEET_CHANNELS
from samuel_runtime.leadsheet.raster import TONES
from samuel_train.data.latents import Latents, latent_statistics, read_latents, split_songs
from samuel_train.fit.batches import LENGTHS, Batches, crop_lengths
from tests.support.train.toy import settings, write_latents


def test_published_layouts_read_the_same(tmp_path: Path) -> None:
    upright = read_latents(write_latents(tmp_path / "a", entries=3))
    turned = tmp_path / "b"
    turned.mkdir()
    for name in ("latent_vocal.npy", "latent_accomp.npy"):
        np.save(turned / name, np.load(tmp_path / "a" / name).transpose(0, 2, 1))
    read = read_latents(turned)
    assert read.vocals.shape == (3, 64, 1024)
    assert np.array_equal(read.vocals, upright.vocals)
    assert np.array_equal(read.accompaniment, upright.accompaniment)
    assert len(set(read.songs)) == 3  # no index: every entry is a song


def _spoil(folder: Path, array: object) -> None:
    np.save(folder / "latent_accomp.npy", array)  # type: ignore[arg-type]


def _with_nan(value: float) -> np.ndarray:
    array = np.zeros((3, 64, 1024), np.float32)
    array[2, 5, 1000] = value
    return array


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: (f / "latent_accomp.npy").unlink(), "not found.*prepare"),
        (lambda f: (f / "latent_accomp.npy").write_bytes(b""), "not a readable"),
        (lambda f: (f / "latent_accomp.npy").write_bytes(b"\x93NUMPY garbage"), "not a readable"),
        (lambda f: _spoil(f, np.array([None, {}], dtype=object)), "not a readable"),
        (lambda f: _spoil(f, np.zeros((3, 64, 1024))), "float64, expected float32"),
        (lambda f: _spoil(f, np.zeros((3, 64, 512), np.float32)), r"shape \(3, 64, 512\)"),
        (lambda f: _spoil(f, np.zeros((64, 1024), np.float32)), r"shape \(64, 1024\)"),
        (lambda f: _spoil(f, np.zeros((0, 64, 1024), np.float32)), "no entries"),
        (lambda f: _spoil(f, np.zeros((2, 64, 1024), np.float32)), "3 entries but latent_accomp.npy has 2"),
        (lambda f: _spoil(f, _with_nan(np.nan)), "NaN or infinity"),
        (lambda f: _spoil(f, _with_nan(-np.inf)), "NaN or infinity"),
        (lambda f: (f / "latent_accomp.npy").write_bytes((f / "latent_accomp.npy").read_bytes()[:-8]), "readable"),
    ],
)
def test_spoilt_latents_are_refused_by_name(tmp_path: Path, spoil: object, reason: str) -> None:
    folder = write_latents(tmp_path / "latents", entries=3)
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=f"latents.*{reason}") as caught:
        read_latents(folder)
    assert "latent_accomp.npy" in str(caught.value)


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        "[" * 100_000,
        json.dumps({"codec": {"location": ""}, "entries": [{"song": "a", "valid_frames": 1024}]}),
        json.dumps({"codec": {"location": ""}, "entries": [{"song": "a", "valid_frames": 0}] * 3}),
        json.dumps({"codec": {"location": ""}, "entries": [{"song": "a", "valid_frames": 2000}] * 3}),
        json.dumps({"codec": {"location": ""}, "entries": [{"song": "a"}] * 3}),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, index: str) -> None:
    folder = write_latents(tmp_path, entries=3)
    (folder / "latents.json").write_text(index)
    with pytest.raises(UserError, match=r"latents\.json"):
        read_latents(folder)


def test_codec_of_the_index_is_kept(tmp_path: Path) -> None:
    assert read_latents(write_latents(tmp_path, 2, songs=["a", "b"])).codec == "a/codec"


def _latents(songs: list[str]) -> Latents:
    empty = np.zeros((len(songs), 64, 1024), np.float32)
    return Latents(Path("x"), empty, empty, tuple(songs), np.full(len(songs), 1024), "")


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2).filter(lambda s: len(set(s)) > 1), st.integers(0, 99))
def test_no_song_is_on_both_sides_of_the_split(songs: list[str], seed: int) -> None:
    latents = Latents(Path("x"), np.empty(0), np.empty(0), tuple(songs), np.empty(0), "")
    split = split_songs(latents, 0.2, seed)
    assert sorted([*split.training, *split.validation]) == list(range(len(songs)))
    sides = [{songs[i] for i in entries} for entries in (split.training, split.validation)]
    assert all(sides) and not sides[0] & sides[1]
    assert len(sides[1]) == max(1, round(0.2 * len(set(songs))))


def test_split_follows_the_seed() -> None:
    latents = _latents([str(i) for i in range(50)])
    first = split_songs(latents, 0.2, 1)
    assert np.array_equal(first.validation, split_songs(latents, 0.2, 1).validation)
    assert not np.array_equal(first.validation, split_songs(latents, 0.2, 2).validation)


def test_one_song_cannot_be_split() -> None:
    with pytest.raises(UserError, match="one song"):
        split_songs(_latents(["a", "a"]), 0.2, 0)


def test_statistics_see_the_training_split_alone(tmp_path: Path) -> None:
    folder = write_latents(tmp_path, entries=5)
    vocals, band = np.load(folder / "latent_vocal.npy"), np.load(folder / "latent_accomp.npy")
    vocals[4], band[4] = 1e6, -1e6  # held out
    np.save(folder / "latent_vocal.npy", vocals)
    np.save(folder / "latent_accomp.npy", band)
    entries = np.array([0, 1, 3])
    statistics = latent_statistics(read_latents(folder), entries)
    np.testing.assert_allclose(statistics.vocals_mean, vocals[entries].mean((0, 2), np.float64), rtol=1e-6)
    np.testing.assert_allclose(statistics.vocals_std, vocals[entries].std((0, 2), np.float64), rtol=1e-6)
    normalised = statistics.normalise_accompaniment(band[entries])
    np.testing.assert_allclose(normalised.mean((0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std((0, 2)), 1, atol=1e-5)
    assert statistics.clamp_min == pytest.approx(normalised.min(), rel=1e-5)
    assert statistics.clamp_max == pytest.approx(normalised.max(), rel=1e-5)


def test_a_large_mean_does_not_swallow_the_deviation(tmp_path: Path) -> None:
    folder = write_latents(tmp_path, entries=3)
    band = np.load(folder / "latent_accomp.npy") + np.float32(4096)
    np.save(folder / "latent_accomp.npy", band)
    statistics = latent_statistics(read_latents(folder), np.arange(3))
    np.testing.assert_allclose(statistics.accompaniment_std, band.astype(np.float64).std((0, 2)), rtol=1e-5)


def test_padding_is_not_counted(tmp_path: Path) -> None:
    folder = write_latents(tmp_path, entries=2, songs=["a", "b"])
    band = np.load(folder / "latent_accomp.npy")
    band[1, :, 100:] = 77.0
    np.save(folder / "latent_accomp.npy", band)
    index = json.loads((folder / "latents.json").read_text())
    index["entries"][1]["valid_frames"] = 100
    (folder / "latents.json").write_text(json.dumps(index))
    statistics = latent_statistics(read_latents(folder), np.arange(2))
    music = np.concatenate([band[0], band[1, :, :100]], axis=1)
    np.testing.assert_allclose(statistics.accompaniment_mean, music.mean(1), rtol=1e-5)


def test_constant_band_is_refused_but_a_dead_channel_is_not(tmp_path: Path) -> None:
    folder = write_latents(tmp_path, entries=2)
    band = np.load(folder / "latent_accomp.npy")
    band[:, 7] = 0.25
    np.save(folder / "latent_accomp.npy", band)
    statistics = latent_statistics(read_latents(folder), np.arange(2))
    assert not statistics.normalise_accompaniment(band)[:, 7].any()
    np.save(folder / "latent_accomp.npy", np.full_like(band, 0.25))
    with pytest.raises(UserError, match="every frame is the same"):
        latent_statistics(read_latents(folder), np.arange(2))


def _batches(folder: Path, rank: int = 0, processes: int = 1, **fit: object) -> Batches:
    latents = read_latents(folder)
    entries = np.arange(len(latents))
    statistics, cpu = latent_statistics(latents, entries), torch.device("cpu")
    return Batches(latents, entries, statistics, settings(**fit), cpu, rank, processes)


def test_a_batch_is_a_function_of_its_step(tmp_path: Path) -> None:
    write_latents(tmp_path)
    first, second = _batches(tmp_path), _batches(tmp_path)
    for step in (5, 0, 3):
        assert all(map(torch.equal, first[step], second[step]))
    assert not torch.equal(first[0].noise[..., :16], first[1].noise[..., :16])


def test_processes_share_the_batch_of_one(tmp_path: Path) -> None:
    write_latents(tmp_path)
    whole, parts = _batches(tmp_path), [_batches(tmp_path, rank, 2) for rank in range(2)]
    for step in range(4):
        joined = [torch.cat(tensors) for tensors in zip(*(part[step] for part in parts), strict=True)]
        assert all(map(torch.equal, whole[step], joined))


def test_crops_pair_voice_and_band_in_z_scores(tmp_path: Path) -> None:
    write_latents(tmp_path)  # band = 0.8 voice + 0.6 noise, both of unit variance
    batches = _batches(tmp_path, condition_dropout=0)
    voice, band = (
        torch.cat([getattr(batches[step], name).flatten() for step in range(20)]).numpy()
        for name in ("vocals", "accompaniment")
    )
    assert abs(voice.mean()) < 0.02 and abs(voice.std() - 1) < 0.02
    assert np.corrcoef(voice, band)[0, 1] == pytest.approx(0.8, abs=0.02)


def test_lengths_vary_between_batches_in_steps_of_eight(tmp_path: Path) -> None:
    write_latents(tmp_path)
    batches = _batches(tmp_path, frames_min=16, frames_max=40)
    lengths = {batches[step].noise.shape[-1] for step in range(60)}
    assert lengths == {16, 24, 32, 40}


def test_lengths_are_few_and_every_octave_has_as_many(tmp_path: Path) -> None:
    lengths = crop_lengths(128, 1024)
    assert lengths[0] == 128 and lengths[-1] == 1024 and len(lengths) == LENGTHS
    assert not (lengths % 8).any()
    ratios = lengths[1:] / lengths[:-1]
    assert ratios.min() > 1.2 and ratios.max() < 1.5
    assert crop_lengths(256, 256).tolist() == [256]


def test_timesteps_are_spread_over_the_schedule_and_each_is_uniform(tmp_path: Path) -> None:
    write_latents(tmp_path)
    batches = _batches(tmp_path, batch=32)
    drawn = np.stack([batches[step].timesteps.numpy() for step in range(40)])  # (steps, batch)
    assert (np.diff(np.sort(drawn, axis=1), axis=1) == 25).all()  # 800 timesteps over 32 examples
    assert np.abs(drawn.mean(axis=0) - 399.5).max() < 160  # whatever its place, an example has any timestep
    assert len(np.unique(drawn)) > 700


def test_every_entry_is_used_once_an_epoch(tmp_path: Path) -> None:
    folder = write_latents(tmp_path, entries=10)
    band = np.load(folder / "latent_accomp.npy")
    band[:] = np.arange(10)[:, None, None]  # an entry is known by its value
    np.save(folder / "latent_accomp.npy", band)
    batches = _batches(tmp_path, batch=5)
    seen = [batches[step].accompaniment[:, 0, 0].numpy() for step in range(4)]
    for epoch in (np.concatenate(seen[:2]), np.concatenate(seen[2:])):
        assert len(np.unique(epoch)) == 10
    assert not np.array_equal(np.concatenate(seen[:2]), np.concatenate(seen[2:]))


def test_a_batch_larger_than_the_data_is_filled_from_the_next_epochs(tmp_path: Path) -> None:
    write_latents(tmp_path, entries=3)
    assert _batches(tmp_path, batch=8)[0].noise.shape[0] == 8


def test_condition_is_dropped_for_whole_examples_at_the_asked_rate(tmp_path: Path) -> None:
    write_latents(tmp_path)
    batches = _batches(tmp_path, batch=32, condition_dropout=0.25)
    null = torch.cat([(batches[step].vocals == 0).float().mean(dim=(1, 2)) for step in range(30)])
    assert set(null.tolist()) == {0.0, 1.0}
    assert float(null.mean()) == pytest.approx(0.25, abs=0.05)


def test_a_sheet_is_cut_with_its_voice_and_dropped_with_it_or_alone(tmp_path: Path) -> None:
    latents = read_latents(write_latents(tmp_path, entries=3))
    entries, cpu = np.arange(3), torch.device("cpu")
    sheets = np.ones((3, SHEET_CHANNELS, 1024), np.float16)
    sheets[:, TONES.start] = latents.vocals[:, 0]  # so that a frame is known by its voice
    latents, statistics = replace(latents, sheets=sheets), latent_statistics(latents, entries)

    def batches(**fit: object) -> Batches:
        config = settings(batch=32, sheet_faults=0.0, **fit)
        config = replace(config, model=replace(config.model, sheet_width=8))
        return Batches(latents, entries, statistics, config, cpu)

    batch = batches(condition_dropout=0.5, sheet_dropout=0.0)[0]
    kept = (batch.vocals != 0).any(dim=(1, 2))
    assert 0 < kept.sum() < 32 and not batch.sheet[~kept].any()
    voice = batch.vocals[kept, 0] * float(statistics.vocals_std[0]) + float(statistics.vocals_mean[0])
    torch.testing.assert_close(batch.sheet[kept, TONES.start], voice, atol=0.01, rtol=0)
    alone = batches(condition_dropout=0.0, sheet_dropout=1.0)[0]
    assert alone.vocals.any(dim=2).any(dim=1).all() and not alone.sheet.any()


def test_noise_on_the_voice_has_a_strength_of_its_own_and_spares_silence(tmp_path: Path) -> None:
    write_latents(tmp_path)
    plain, noisy = (_batches(tmp_path, batch=32, condition_dropout=0.25, voice_noise=most) for most in (0.0, 0.5))
    added, dropped = [], 0
    for step in range(20):
        clean, other = plain[step], noisy[step]
        assert torch.equal(clean.accompaniment, other.accompaniment)
        kept = (clean.vocals != 0).any(dim=(1, 2))
        assert not other.vocals[~kept].any()
        dropped += int((~kept).sum())
        added += (other.vocals - clean.vocals)[kept].std(dim=(1, 2)).tolist()
    assert dropped
    assert min(added) < 0.05 and 0.45 < max(added) < 0.55 and np.mean(added) == pytest.approx(0.25, abs=0.03)


def test_timesteps_are_uniform_and_noise_is_normal(tmp_path: Path) -> None:
    write_latents(tmp_path)
    batches = _batches(tmp_path, batch=64)
    t = torch.cat([batches[step].timesteps for step in range(30)]).numpy()
    assert 0 <= t.min() < 10 and 789 < t.max() < 800
    assert np.abs(np.histogram(t, 8, (0, 800))[0] / len(t) - 1 / 8).max() < 0.03
    noise = batches[0].noise.numpy()
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02


def test_crops_stay_within_the_music(tmp_path: Path) -> None:
    folder = write_latents(tmp_path, entries=2, songs=["a", "b"])
    index = json.loads((folder / "latents.json").read_text())
    for entry in index["entries"]:
        entry["valid_frames"] = 40
    (folder / "latents.json").write_text(json.dumps(index))
    for name in ("latent_vocal.npy", "latent_accomp.npy"):
        array = np.load(folder / name)
        array[:, :, 40:] = 1e4
        np.save(folder / name, array)
    batches = _batches(tmp_path, frames_min=32, frames_max=32)
    assert max(float(batches[step].accompaniment.max()) for step in range(20)) < 100
