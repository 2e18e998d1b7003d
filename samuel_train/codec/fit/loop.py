"""Trains the small codec on folders of stems, within a budget of minutes or steps."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, count, islice, repeat
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name, replacing
from samuel_train.codec.fit.calibration import calibrate
from samuel_train.codec.fit.crops import Crops, held_out
from samuel_train.codec.fit.excerpts import excerpts_of
from samuel_train.codec.fit.pca import start_from_pca
from samuel_train.codec.fit.settings import FitSettings
from samuel_train.codec.fit.stages import Adversarial, Reconstruction
from samuel_train.codec.losses.spectral import REPORTED, MelSpectrum, log_mel_distance
from samuel_train.codec.model.files import WEIGHTS_NAME, save_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig
from samuel_train.data.stem_reader import StemReader, open_songs
from samuel_train.device.choice import choose_device
from samuel_train.device.processors import usable_processors
from samuel_train.fit.metrics_log import append_metrics, rewind_metrics
from samuel_train.fit.plots import draw_codec_plot
from samuel_train.fit.run_folder import refuse_changes

STATE_NAME = "training.pt"
METRICS_NAME = "metrics.jsonl"
# Numbers of batches that no training step reaches.
_PCA_FIRST_BATCH, _CALIBRATION_FIRST_BATCH, _OTHER_BATCHES = 1_000_000_000, 1_100_000_000, 40
_CUDA_WORKERS_MOST = 16  # draw crops as fast as a fast GPU takes them
_MAY_CHANGE = {"minutes", "steps", "save_every_s", "log_every_steps"}  # settings that a resumed run may change


@dataclass
class _Progress:
    """Where a run is; what a resumed run continues from."""

    step: int = 0
    elapsed_s: float = 0.0


def fit_codec(
    stems: Path,
    out_dir: Path,
    settings: FitSettings,
    config: SmallCodecConfig | None = None,
    device: str = "auto",
    resume: bool = False,
    say: Callable[[str], None] = lambda line: None,
    start: SmallCodec | None = None,
    decoder_alone: bool = False,
) -> dict[str, float]:
    """Train, and save the codec into ``out_dir``; its log-mel distance on songs held out, by kind of recording.

    Args:
        stems: folder of song folders, laid out as data/stems.py says.
        out_dir: receives ``config.json``, ``model.safetensors``, ``training.pt``, ``metrics.jsonl`` and ``losses.png``.
        settings: budget and hyperparameters.
        config: sizes of the codec.
        device: auto, cpu, cuda or mps.
        resume: continue from ``training.pt`` in ``out_dir``.
        say: receives a line of progress now and then.
        start: a codec to train further, instead of a new one; it is changed in place.
        decoder_alone: whether its encoder stays as it is, so that latents that were made with it remain good.

    Raises:
        UserError: if there are no usable songs or a damaged one, no such device, nothing to resume from, a resumed run
            has other settings or songs, or a new one would replace another.
    """
    check_name(out_dir)
    torch.manual_seed(settings.seed)
    codec = start or SmallCodec(config or SmallCodecConfig())
    if not resume:
        _refuse_other_run(out_dir)
    songs, skipped = open_songs(stems, codec.facts.sample_rate_hz, settings.crop_frames * codec.facts.hop_samples)
    for skip in skipped:
        say(f"skipped {skip.song}: {skip.reason}")
    run = _Run(songs, out_dir, settings, codec, torch.device(choose_device(device)), decoder_alone)
    if resume:
        run.restore()
    else:
        run.start(anew=start is None)
    say(f"{len(run.training_songs)} songs to train on, {len(run.held_out_songs)} held out")
    run.loop(say)
    run.calibrate()
    return _log_mel(run.codec.cpu(), run.held_out_songs)


def crop_workers(device: torch.device) -> int:
    """Processes that draw crops: one a processor for a GPU, none where the steps themselves run on processors."""
    return min(_CUDA_WORKERS_MOST, usable_processors()) if device.type == "cuda" else 0


def _refuse_other_run(out_dir: Path) -> None:
    for name in (STATE_NAME, WEIGHTS_NAME):
        if (out_dir / name).exists():
            raise UserError(
                f"{out_dir}: holds a codec already ({name}); continue it with --resume or choose another folder with -o"
            )


@torch.no_grad()
def _log_mel(codec: SmallCodec, songs: list[StemReader]) -> dict[str, float]:
    mel = MelSpectrum(REPORTED, codec.facts.sample_rate_hz)
    by_kind: dict[str, list[float]] = {}
    for excerpt in excerpts_of(songs, codec.facts.hop_samples):
        decoded = codec.decode(codec.encoder(excerpt.audio[None]))[0]
        by_kind.setdefault(excerpt.kind, []).append(log_mel_distance(mel(decoded), mel(excerpt.audio)).item())
    return {kind: sum(distances) / len(distances) for kind, distances in by_kind.items()}


class _Run:
    def __init__(
        self,
        songs: list[StemReader],
        out_dir: Path,
        settings: FitSettings,
        codec: SmallCodec,
        device: torch.device,
        decoder_alone: bool,
    ) -> None:
        self.settings = settings
        self.out_dir = out_dir
        self.device = device
        self.codec = codec.to(device)
        further = "decoder refined" if decoder_alone else "trained further"
        self.origin = f"{codec.provenance}; {further}: " if codec.provenance else "samuel-train codec: "
        crop_samples = settings.crop_frames * self.codec.facts.hop_samples
        sample_rate_hz = codec.facts.sample_rate_hz
        self.training_songs: list[StemReader]
        self.held_out_songs: list[StemReader]
        self.training_songs, self.held_out_songs = held_out(songs)
        self.crops = Crops(self.training_songs, sample_rate_hz, crop_samples, settings.batch, settings.seed)
        self.reconstruction = Reconstruction(self.codec, settings, device, decoder_alone)
        self.adversarial = Adversarial(self.codec, settings, device) if settings.adversarial_share else None
        self.progress = _Progress()
        self.chosen = {**asdict(settings), "refine": decoder_alone, "songs": sorted(each.song.name for each in songs)}

    def start(self, *, anew: bool) -> None:
        """Begin; a new codec's linear skip with a principal component analysis, all else from chance or as it was."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        (self.out_dir / METRICS_NAME).unlink(missing_ok=True)
        if anew:
            start_from_pca(
                self.codec.encoder, self._batches(range(_PCA_FIRST_BATCH, _PCA_FIRST_BATCH + _OTHER_BATCHES))
            )

    def restore(self) -> None:
        """Continue where ``training.pt`` stopped."""
        path = self.out_dir / STATE_NAME
        if not path.is_file():
            raise UserError(f"{path}: missing, so there is nothing to resume; leave out --resume to begin anew")
        try:
            state = torch.load(path, weights_only=True, map_location=self.device)
            self._check_same_run(state.get("settings", {}))  # not written down by earlier versions
            self.codec.load_state_dict(state["codec"])
            self.reconstruction.load_state_dict(state["reconstruction"])
            if self.adversarial and state["adversarial"]:
                self.adversarial.load_state_dict(state["adversarial"])
            self.progress = _Progress(**state["progress"])
        except (
            AttributeError,
            KeyError,
            RuntimeError,
            ValueError,
            TypeError,
            EOFError,
            pickle.UnpicklingError,
        ) as error:
            raise UserError(
                f"{path}: damaged or of a codec of other sizes; begin anew in another folder without --resume"
            ) from error
        rewind_metrics(self.out_dir / METRICS_NAME, self.progress.step)

    def _check_same_run(self, before: dict[str, Any]) -> None:
        if before.get("songs", self.chosen["songs"]) != self.chosen["songs"]:
            raise UserError(f"{self.out_dir}: was trained on other songs; resume it with the folder of those")
        refuse_changes(self.out_dir, before, self.chosen, _MAY_CHANGE)

    def loop(self, say: Callable[[str], None]) -> None:
        """Train until the budget is spent, saving now and then."""
        self.codec.train()
        began_s = time.monotonic() - self.progress.elapsed_s
        saved_s = self.progress.elapsed_s
        for audio in self._echoed(self.progress.step):
            if (spent := self._spent()) >= 1:
                break
            metrics = self._step(audio, spent)
            self.progress.step += 1
            self.progress.elapsed_s = time.monotonic() - began_s
            if self.progress.step % self.settings.log_every_steps == 0:
                numbers = {name: value.item() for name, value in metrics.items()}
                self._log(numbers)
                if not math.isfinite(numbers["loss"]):
                    raise UserError(
                        f"{self.out_dir}: loss {numbers['loss']} at step {self.progress.step}; begin anew in another "
                        "folder with a lower --learning-rate"
                    )
                say(f"{self._spent():4.0%} " + _line(numbers))
            if self.progress.elapsed_s - saved_s > self.settings.save_every_s:
                saved_s = self.progress.elapsed_s
                self._save()
        self.codec.eval()
        self._save()
        draw_codec_plot(self.out_dir)

    def calibrate(self) -> None:
        """Give the bands their level; the state to resume from stays as it was trained."""
        calibrate(self.codec, self._batches(range(_CALIBRATION_FIRST_BATCH, _CALIBRATION_FIRST_BATCH + _OTHER_BATCHES)))
        self._save_codec()

    def _spent(self) -> float:
        return self.settings.spent(self.progress.step, self.progress.elapsed_s)

    def _step(self, audio: Tensor, spent: float) -> dict[str, Tensor]:
        """One step of the current stage."""
        first = 1 - self.settings.adversarial_share
        if not self.adversarial or spent < first:
            return self.reconstruction.step(audio, self.progress.step, spent / first)
        return self.adversarial.step(audio, self.progress.step, (spent - first) / self.settings.adversarial_share)

    def _echoed(self, step: int) -> Iterator[Tensor]:
        """The batches of step ``step`` and all that follow, each for as many steps as the settings say."""
        first, done = divmod(step, self.settings.echoes)
        batches = self._batches(count(first))
        return islice(chain.from_iterable(repeat(each, self.settings.echoes) for each in batches), done, None)

    def _batches(self, numbers: Iterable[int]) -> Iterator[Tensor]:
        cuda = self.device.type == "cuda"
        loader = DataLoader(
            self.crops, batch_size=None, sampler=numbers, num_workers=crop_workers(self.device), pin_memory=cuda
        )
        return (audio.to(self.device, non_blocking=True) for audio in loader)

    def _log(self, metrics: dict[str, float]) -> None:
        line = {**asdict(self.progress), **{name: round(value, 5) for name, value in metrics.items()}}
        append_metrics(self.out_dir / METRICS_NAME, line)

    def _save_codec(self) -> None:
        self.codec.provenance = (
            f"{self.origin}{self.progress.step} steps of {self.settings.batch} crops "
            f"from {len(self.training_songs)} songs, seed {self.settings.seed}"
        )
        save_small_codec(self.out_dir, self.codec)

    def _save(self) -> None:
        self._save_codec()
        state = {
            "codec": self.codec.state_dict(),
            "reconstruction": self.reconstruction.state_dict(),
            "adversarial": self.adversarial.state_dict() if self.adversarial else {},
            "progress": asdict(self.progress),
            "settings": self.chosen,
        }
        with replacing(self.out_dir / STATE_NAME) as temporary:
            torch.save(state, temporary)


def _line(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
