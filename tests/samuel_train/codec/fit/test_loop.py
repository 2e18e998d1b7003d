"""Training on a few toy songs: it learns, resumes to the same weights, and reads its crops right."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from samuel_runtime.errors import UserError
from samuel_train.cli import codec as cli
from samuel_train.codec import load_codec
from samuel_train.codec.fit import loop
from samuel_train.codec.fit.crops import Crops, _played, held_out
from samuel_train.codec.fit.loop import fit_codec
from samuel_train.codec.fit.pca import start_from_pca
from samuel_train.codec.fit.settings import FitSettings
from samuel_train.codec.fit.stages import Reconstruction
from samuel_train.codec.losses.spectral import SpectralLoss, effective_rank
from samuel_train.codec.model.files import load_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.data.stem_reader import StemReader, open_songs
from samuel_train.fit.plots import draw_codec_plot
from tests.support.train.tiny_codec import TINY
from tests.support.train.toy import write_song as write_stems

RATE_HZ = 44100
SETTINGS = FitSettings(steps=4, batch=2, crop_frames=5, log_every_steps=1)
BEGUN_STEPS = 16
OF_BOTH_STAGES = replace(SETTINGS, echoes=2, adversarial_share=0.5, discriminator_width=2, save_every_s=0.0)


def write_song(folder: Path, seed: int, channels: int = 2, rate_hz: int = RATE_HZ) -> None:
    """Two seconds of a few notes with some noise, as both stems."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for stem in ("vocals", "accompaniment"):
        pitch_hz = np.repeat(rng.choice([220, 262, 330, 392], 8), RATE_HZ // 4)
        phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
        tone = sum(np.sin(k * phase) / k for k in range(1, 8)) * 0.1
        audio = np.stack([tone, 0.6 * tone], axis=1) + 0.003 * rng.standard_normal((len(phase), 2))
        soundfile.write(folder / f"{stem}.wav", audio[:, :channels], rate_hz)


def write_songs(stems: Path) -> Path:
    """Four songs."""
    for index in range(4):
        write_song(stems / f"song_{index}", index)
    return stems


@pytest.fixture(scope="module", autouse=True)
def _quick_runs() -> Iterator[None]:
    """Toy songs need no more batches for principal components and for calibration, and one picture is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_OTHER_BATCHES", 2)
        patch.setattr(loop, "draw_codec_plot", lambda out_dir: None)
        yield


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read them only."""
    return write_songs(tmp_path_factory.mktemp("songs") / "stems")


@pytest.fixture
def own_stems(stems: Path, tmp_path: Path) -> Path:
    """To damage."""
    return Path(shutil.copytree(stems, tmp_path / "stems"))


@pytest.fixture(scope="module")
def begun(stems: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, float]]:
    """The same stems, the folder of a codec that was trained on them, and its report; read them only."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "draw_codec_plot", draw_codec_plot)
        settings = replace(SETTINGS, steps=BEGUN_STEPS, learning_rate=5e-3)
        report = fit_codec(stems, folder / "codec", settings, TINY)
    return stems, folder / "codec", report


@pytest.fixture(scope="module")
def whole(stems: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """The folder of a run of `OF_BOTH_STAGES` that nothing stopped, and its weights after the third step."""
    folder = tmp_path_factory.mktemp("whole") / "codec"
    before: dict[str, torch.Tensor] = {}

    def remember(line: str) -> None:
        if line.startswith("100%"):  # the third step's weights are on disk by then
            before.update(load_codec(folder).state_dict())

    fit_codec(stems, folder, OF_BOTH_STAGES, TINY, say=remember)
    return folder, before


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Stems, and the folder of a codec that was trained on them for one step; read them only."""
    folder = tmp_path_factory.mktemp("finished")
    for index in range(2):
        write_song(folder / "stems" / f"song_{index}", index)
    fit_codec(folder / "stems", folder / "codec", replace(SETTINGS, steps=1), TINY)
    return folder / "stems", folder / "codec"


def songs_of(stems: Path) -> list[StemReader]:
    return open_songs(stems, RATE_HZ, 4096)[0]


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def distance(codec: Path, stems: Path) -> float:
    """Log-mel distance of a codec's output from its input, on a song that is held out."""
    batch = Crops(held_out(songs_of(stems))[0], RATE_HZ, 32768, 8, seed=1)[0]
    opened = load_codec(codec)
    with torch.no_grad():
        return float(SpectralLoss(RATE_HZ)(opened.decode(opened.encoder(batch)), batch)["log_mel"])


def test_training_brings_the_output_nearer(
    begun: tuple[Path, Path, dict[str, float]], finished: tuple[Path, Path]
) -> None:
    stems, folder, report = begun
    lines = metrics(folder)
    assert [line["step"] for line in lines] == list(range(1, BEGUN_STEPS + 1))
    assert "log_mel" not in lines[0] and "log_mel" in lines[-1]  # nothing is synthesised at first
    assert distance(folder, stems) < 0.9 * distance(finished[1], stems)
    assert (folder / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert set(report) == {"voice", "band", "mix"}
    assert 0 < report["band"] < 3
    codec = load_codec(folder)
    assert codec.facts.latent_channels == 8
    assert codec.provenance == f"samuel-train codec: {BEGUN_STEPS} steps of 2 crops from 3 songs, seed 0"


def test_refining_teaches_the_decoder_and_spares_the_latents(
    begun: tuple[Path, Path, dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems, start, _ = begun
    monkeypatch.setattr("samuel_train.codec.fit.settings.FitSettings", partial(FitSettings, crop_frames=8))
    arguments = [str(stems), "-o", str(tmp_path / "refined"), "--refine", str(start), "--learning-rate", "6e-3"]
    ran = CliRunner().invoke(cli.command, [*arguments, "--steps", "12", "--batch", "2", "--device", "cpu"])
    assert ran.exit_code == 0, ran.output
    before, after = load_codec(start), load_codec(tmp_path / "refined")
    pairs = zip(before.encoder.parameters(), after.encoder.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert not torch.equal(before.decoder.enter.weight, after.decoder.enter.weight)
    assert distance(tmp_path / "refined", stems) < 0.95 * distance(start, stems)
    assert after.provenance == f"{before.provenance}; decoder refined: 12 steps of 2 crops from 3 songs, seed 0"


def test_training_goes_on_from_a_codec(
    begun: tuple[Path, Path, dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems, start, _ = begun
    monkeypatch.setattr("samuel_train.codec.fit.settings.FitSettings", partial(FitSettings, crop_frames=8))
    larger = replace(TINY, encoder_latent_blocks=2)
    monkeypatch.setattr("samuel_train.codec.model.small_config.SmallCodecConfig", lambda: larger)
    arguments = [str(stems), "-o", str(tmp_path / "on"), "--from", str(start), "--device", "cpu"]
    ran = CliRunner().invoke(cli.command, [*arguments, "--steps", "2", "--batch", "2", "--learning-rate", "1e-4"])
    assert ran.exit_code == 0, ran.output
    before, after = (load_small_codec(folder) for folder in (start, tmp_path / "on"))
    assert after.config == larger
    assert not torch.equal(before.encoder.enter.weight, after.encoder.enter.weight)
    with torch.no_grad():  # two steps at the foot of the warm-up move it little; new weights would be all wrong
        latents = [codec.encoder(stem_like(stems)) for codec in (before, after)]
    assert (latents[1] - latents[0]).norm() < 0.2 * latents[0].norm()
    assert after.provenance == f"{before.provenance}; trained further: 2 steps of 2 crops from 3 songs, seed 0"
    ran = CliRunner().invoke(cli.command, [*arguments, "--refine", str(start)])
    assert ran.exit_code == 2 and "give one of them" in ran.output


def stem_like(stems: Path) -> torch.Tensor:
    return Crops(songs_of(stems), RATE_HZ, 65536, 2, seed=1)[0]


def test_a_run_resumed_between_two_echoes_ends_with_the_weights_of_one_never_stopped(
    whole: tuple[Path, dict[str, torch.Tensor]], stems: Path, tmp_path: Path
) -> None:
    halves = tmp_path / "halves"

    def stop_in_the_last_step(line: str) -> None:
        if line.startswith("100%"):  # what is on disk by then is of the third
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_codec(stems, halves, OF_BOTH_STAGES, TINY, say=stop_in_the_last_step)
    assert len(metrics(halves)) == 4
    fit_codec(stems, halves, OF_BOTH_STAGES, TINY, resume=True)
    assert [line["step"] for line in metrics(halves)] == [1, 2, 3, 4]
    expected = load_codec(whole[0]).state_dict()
    for name, tensor in load_codec(halves).state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_crops_echo_for_as_many_steps_as_asked(stems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, drawn = Crops.__getitem__, []

    def counted(self: Crops, number: int) -> torch.Tensor:
        drawn.append(number)
        return draw(self, number)

    monkeypatch.setattr(Crops, "__getitem__", counted)
    fit_codec(stems, tmp_path, replace(SETTINGS, steps=6, echoes=3), TINY)
    assert [number for number in drawn if number < 100] == [0, 1, 2]  # the last is read ahead of the end
    losses = [line["loss"] for line in metrics(tmp_path)]
    assert len(set(losses)) == 6


def test_the_adversarial_stage_leaves_the_encoder_as_it_is(whole: tuple[Path, dict[str, torch.Tensor]]) -> None:
    """Latents that were made before it must stay good."""
    folder, before = whole
    assert ["told_apart" in line for line in metrics(folder)] == [False, False, True, True]
    after = load_codec(folder).state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("decoder.") for name in changed)


def test_another_seed_gives_other_weights(finished: tuple[Path, Path], tmp_path: Path) -> None:
    stems, of_seed_0 = finished
    fit_codec(stems, tmp_path / "1", replace(SETTINGS, steps=1, seed=1), TINY)
    first, second = (load_codec(folder).state_dict() for folder in (of_seed_0, tmp_path / "1"))
    assert not torch.equal(first["decoder.enter.weight"], second["decoder.enter.weight"])


def test_nothing_to_resume(stems: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        fit_codec(stems, tmp_path / "codec", SETTINGS, TINY, resume=True)


def test_a_state_that_does_not_fit_is_refused(finished: tuple[Path, Path], tmp_path: Path) -> None:
    stems, out = finished
    shutil.copytree(out, tmp_path / "codec")
    with pytest.raises(UserError, match="of a codec of other sizes"):
        fit_codec(stems, tmp_path / "codec", SETTINGS, replace(TINY, decoder_width=32), resume=True)
    (tmp_path / "codec" / "training.pt").write_bytes(b"cut off")
    with pytest.raises(UserError, match="damaged"):
        fit_codec(stems, tmp_path / "codec", SETTINGS, TINY, resume=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"batch": 3}, "batch = 2, not 3"),
        ({"seed": 1}, "seed = 0, not 1"),
        ({"learning_rate": 0.5}, "learning_rate = 0.0015, not 0.5"),
        ({"noise": 0.0}, "noise = 0.3, not 0.0"),
        ({"adversarial_share": 0.5}, "adversarial_share = 0.0, not 0.5"),
    ],
)
def test_a_resumed_codec_took_changed_settings_in_silence(
    finished: tuple[Path, Path], changed: dict[str, float], said: str
) -> None:
    stems, out = finished
    with pytest.raises(UserError, match=rf"codec: was started with {re.escape(said)}; keep it"):
        fit_codec(stems, out, replace(SETTINGS, steps=1, **changed), TINY, resume=True)


def test_a_resumed_codec_took_other_songs_and_another_stage_in_silence(
    finished: tuple[Path, Path], tmp_path: Path
) -> None:
    stems, out = finished
    settings = replace(SETTINGS, steps=1)
    with pytest.raises(UserError, match="refine = False, not True"):
        fit_codec(stems, out, settings, TINY, resume=True, decoder_alone=True)
    write_song(tmp_path / "stems" / "another", 7)
    with pytest.raises(UserError, match="other songs"):
        fit_codec(tmp_path / "stems", out, settings, TINY, resume=True)


def test_a_new_codec_replaced_a_trained_one(finished: tuple[Path, Path], tmp_path: Path) -> None:
    stems, out = finished
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match=r"holds a codec already.*--resume"):
        fit_codec(stems, out, SETTINGS, TINY)
    copy = Path(shutil.copytree(out, tmp_path / "copy"))
    (copy / "training.pt").unlink()
    with pytest.raises(UserError, match="holds a codec already"):
        fit_codec(stems, copy, SETTINGS, TINY)
    assert (copy / "model.safetensors").read_bytes() == before


def test_one_song_with_nan_made_every_weight_nan(own_stems: Path, tmp_path: Path) -> None:
    broken = np.zeros((RATE_HZ, 2), np.float32)
    broken[1000] = np.nan
    for stem in ("vocals", "accompaniment"):
        soundfile.write(own_stems / "song_1" / f"{stem}.wav", broken, RATE_HZ, subtype="FLOAT")
    ran = CliRunner().invoke(cli.command, [str(own_stems), "-o", str(tmp_path / "codec"), "--steps", "1"])
    assert isinstance(ran.exception, UserError)
    assert str(ran.exception).startswith(f"{own_stems / 'song_1' / 'vocals.wav'}: holds samples that are NaN")
    assert not (tmp_path / "codec").exists()


def test_a_loss_that_is_not_finite_was_trained_on(stems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Reconstruction.step

    def overflowed(self: Reconstruction, audio: torch.Tensor, number: int, share: float) -> dict[str, torch.Tensor]:
        measured = step(self, audio, number, share)
        return measured | {"loss": measured["loss"] * (np.nan if number == 1 else 1)}

    monkeypatch.setattr(Reconstruction, "step", overflowed)
    with pytest.raises(UserError, match="loss nan at step 2; begin anew"):
        fit_codec(stems, tmp_path / "codec", SETTINGS, TINY)


def test_sixteen_workers_were_started_on_any_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, expected in ((3, 3), (64, 16)):
        monkeypatch.setattr(loop, "usable_processors", lambda processors=processors: processors)
        assert loop.crop_workers(torch.device("cuda")) == expected
        assert loop.crop_workers(torch.device("cpu")) == 0  # whose processors the steps themselves need


def test_songs_in_the_layout_of_musdb_were_not_found(tmp_path: Path) -> None:
    """Stems of the band in folders of train and test, at another rate than the codec's, of which one is too short."""
    for name, seconds in (("train/A", 2.0), ("test/B", 2.0), ("train/short", 0.1)):
        write_stems(tmp_path / "stems" / name, dict.fromkeys(("vocals", "drums", "bass"), 0.1), seconds, 48_000)
    said: list[str] = []
    fit_codec(tmp_path / "stems", tmp_path / "codec", replace(SETTINGS, steps=1), TINY, say=said.append)
    assert load_codec(tmp_path / "codec").provenance.endswith("from 1 songs, seed 0")
    assert "skipped train/short: shorter than 0.2 s" in said


def test_a_folder_whose_name_is_not_utf8_was_a_traceback(own_stems: Path, tmp_path: Path) -> None:
    (own_stems / "song_3").rename(own_stems / os.fsdecode(b"caf\xe9"))
    said: list[str] = []
    fit_codec(own_stems, tmp_path / "codec", replace(SETTINGS, steps=1), TINY, say=said.append)
    assert said[0] == "skipped caf\\xe9: the folder's name is not UTF-8; rename the folder"
    with pytest.raises(UserError, match="not readable text"):
        load_codec(tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(UserError, match="not readable text"):
        fit_codec(own_stems, tmp_path / os.fsdecode(b"caf\xe9"), replace(SETTINGS, steps=1), TINY)


def test_an_adversarial_share_leaves_something_to_the_first_stage() -> None:
    with pytest.raises(UserError, match="--adversarial-share"):
        FitSettings(steps=1, adversarial_share=1.0)


@pytest.mark.parametrize("budget", [{}, {"minutes": 1.0, "steps": 1}, {"steps": 0}, {"minutes": -1.0}])
def test_a_budget_is_minutes_or_steps(budget: dict[str, float]) -> None:
    with pytest.raises(UserError, match="--minutes"):
        FitSettings(**budget)


def test_pca_starts_with_uncorrelated_latents(stems: Path) -> None:
    torch.manual_seed(0)
    encoder = SmallCodec(TINY).encoder
    crops = Crops(songs_of(stems), RATE_HZ, 16384, batch=4, seed=0)
    batches = [crops[number] for number in range(4)]
    start_from_pca(encoder, batches)
    with torch.no_grad():
        levels = encoder.features(torch.cat(batches)).levels
        latents = encoder.skip(encoder.skip_features(levels)).transpose(1, 2)
    assert effective_rank(latents) > 7.9
    assert torch.allclose(latents.mean(dim=(0, 2)), torch.zeros(8), atol=1e-2)
    assert torch.allclose(latents.std(dim=(0, 2)), torch.ones(8), atol=1e-2)


def test_crops_depend_on_seed_and_number_alone(stems: Path) -> None:
    songs = songs_of(stems)
    first, again, other = (Crops(songs, RATE_HZ, 4096, 4, seed) for seed in (0, 0, 1))
    assert first[3].shape == (4, 2, 4096)
    assert torch.equal(first[3], again[3])
    assert not torch.equal(first[3], first[4])
    assert not torch.equal(first[3], other[3])
    assert Crops(songs, RATE_HZ, 4096, 32, 0)[0].abs().max() < 1


def test_a_crop_that_is_played_faster_has_its_length_and_a_higher_pitch() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(60_000) / RATE_HZ)
    moved = _played(np.stack([tone, tone]), 1.25, 44_100)
    assert moved.shape == (2, 44_100)
    spectrum = np.abs(np.fft.rfft(moved[0]))
    assert abs(int(spectrum.argmax()) - 550) <= 1
    silent = _played(np.stack([tone, tone]), 2.0, 44_100)[:, 30_000:]
    assert np.abs(silent).max() == 0


def test_the_last_songs_by_name_are_held_out(stems: Path) -> None:
    training, judged = held_out(songs_of(stems), share=0.5)
    assert [reader.song.name for reader in training] == ["song_0", "song_1"]
    assert [reader.song.name for reader in judged] == ["song_2", "song_3"]


def test_the_command_hands_its_options_on(stems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def remember(stems: Path, out_dir: Path, settings: FitSettings, **others: object) -> dict[str, float]:
        seen.update(stems=stems, out_dir=out_dir, settings=settings, resume=others["resume"], device=others["device"])
        return {"voice": 0.25}

    monkeypatch.setattr("samuel_train.codec.fit.loop.fit_codec", remember)
    arguments = [str(stems), "-o", str(tmp_path / "out"), "--steps", "7", "--seed", "3", "--resume", "--device", "cpu"]
    arguments += ["--adversarial-share", "0.25", "--echoes", "2"]
    result = CliRunner().invoke(cli.command, arguments)
    assert result.exit_code == 0, result.output
    assert "voice 0.250" in result.output
    settings = FitSettings(steps=7, seed=3, adversarial_share=0.25, echoes=2)
    assert seen == {
        "stems": stems,
        "out_dir": tmp_path / "out",
        "settings": settings,
        "resume": True,
        "device": "cpu",
    }
