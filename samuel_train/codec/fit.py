"""Trains the small codec on folders of stems, within a budget of minutes or steps."""

from __future__ import annotations

import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing
from samuel_train.codec.crops import CropReader, Song, find_songs, held_out
from samuel_train.codec.evaluate import CodecReport, evaluate_codec
from samuel_train.codec.files import save_small_codec
from samuel_train.codec.losses import LatentLoss, SpectralLoss, effective_rank
from samuel_train.codec.pca import start_from_pca
from samuel_train.codec.small import SmallCodec
from samuel_train.codec.small_config import SmallCodecConfig

STATE_NAME = "training.pt"
METRICS_NAME = "metrics.jsonl"
_PCA_FIRST_BATCH, _PCA_BATCHES = 1_000_000_000, 40


@dataclass(frozen=True)
class FitSettings:
    """How the codec is trained."""

    minutes: float | None = None
    """Wall time to train for; the learning rate falls to zero by its end."""
    steps: int | None = None
    """Steps to train for, where no minutes are given."""
    seed: int = 0
    """Of the first weights, the crops and the noise."""
    batch: int = 8
    """Crops a step."""
    crop_frames: int = 32
    """Latent frames a crop; 32 are 1.5 s."""
    learning_rate: float = 1.5e-3
    """Highest learning rate."""
    warmup: float = 0.02
    """Share of the budget in which the learning rate rises."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    phase_weight: float = 2.0
    """Weight of the low partials' phase in the loss."""
    covariance_weight: float = 0.05
    """Weight of the latents' correlations in the loss."""
    centre_weight: float = 0.1
    """Weight of the latents' means and variances in the loss."""
    noise: float = 0.15
    """Most noise on the latents, as a standard deviation; what the decoder learns to shrug off."""
    noise_ramp: float = 0.3
    """Share of the budget in which the noise rises."""
    save_every_s: float = 120.0
    """Between two savings of weights and state."""
    log_every_steps: int = 10
    """Between two lines of ``metrics.jsonl``."""

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise UserError("codec training: give either --minutes or --steps")
        if (self.minutes or self.steps or 0) <= 0:
            raise UserError("codec training: --minutes and --steps must be positive")


@dataclass
class _Progress:
    """Where a run is; what a resumed run continues from."""

    step: int = 0
    elapsed_s: float = 0.0

    def share(self, settings: FitSettings) -> float:
        """Of the budget that is spent, 0 to 1."""
        if settings.steps is not None:
            return min(1.0, self.step / settings.steps)
        assert settings.minutes is not None  # one of the two is given: FitSettings
        return min(1.0, self.elapsed_s / (60 * settings.minutes))


def fit_codec(
    stems: Path,
    out_dir: Path,
    settings: FitSettings,
    config: SmallCodecConfig | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> CodecReport:
    """Train, save the codec into ``out_dir`` and judge it on songs held out.

    Args:
        stems: folder of song folders with ``vocals.wav`` and ``accompaniment.wav``.
        out_dir: receives ``config.json``, ``model.safetensors``, ``training.pt`` and ``metrics.jsonl``.
        settings: budget and hyperparameters.
        config: sizes of the codec.
        resume: continue from ``training.pt`` in ``out_dir``.
        say: receives a line of progress now and then.

    Raises:
        UserError: if there are no usable songs, or nothing to resume from.
    """
    config = config or SmallCodecConfig()
    run = _Run(stems, out_dir, settings, config)
    if resume:
        run.restore()
    else:
        run.start()
    say(f"{len(run.training_songs)} songs to learn from, {len(run.held_out_songs)} held out")
    run.loop(say)
    report = evaluate_codec(run.codec, run.held_out_songs)
    say(str(report))
    return report


class _Run:
    def __init__(self, stems: Path, out_dir: Path, settings: FitSettings, config: SmallCodecConfig) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.out_dir = out_dir
        self.codec = SmallCodec(config)
        self.crop_samples = settings.crop_frames * self.codec.facts.hop_samples
        songs = find_songs(stems, config.sample_rate_hz, self.crop_samples)
        self.training_songs: list[Song]
        self.held_out_songs: list[Song]
        self.training_songs, self.held_out_songs = held_out(songs)
        self.reader = CropReader(self.training_songs, self.crop_samples, settings.seed)
        self.spectral_loss = SpectralLoss(config.sample_rate_hz, settings.phase_weight)
        self.latent_loss = LatentLoss(config.latent_channels)
        self.optimiser = torch.optim.AdamW(
            self.codec.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        self.progress = _Progress()

    def start(self) -> None:
        """Begin anew: the linear skip from a principal component analysis, the rest from chance."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        (self.out_dir / METRICS_NAME).unlink(missing_ok=True)
        # Numbers no training step reaches.
        batches = (self._crops(_PCA_FIRST_BATCH + number) for number in range(_PCA_BATCHES))
        start_from_pca(self.codec.encoder, batches)

    def restore(self) -> None:
        """Continue where ``training.pt`` stopped."""
        path = self.out_dir / STATE_NAME
        if not path.is_file():
            raise UserError(f"{path}: missing, so there is nothing to resume; leave out --resume to begin anew")
        try:
            state = torch.load(path, weights_only=True)
            self.codec.load_state_dict(state["codec"])
            self.latent_loss.load_state_dict(state["latent_loss"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.progress = _Progress(**state["progress"])
        except (KeyError, RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{path}: damaged or of a codec of other sizes; leave out --resume to begin anew"
            ) from error
        self._forget_later_metrics()

    def _forget_later_metrics(self) -> None:
        """Drop the lines written between the last saving and the interruption; those steps come again."""
        path = self.out_dir / METRICS_NAME
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        with replacing(path) as temporary:
            temporary.write_text("".join(x for x in lines if json.loads(x)["step"] <= self.progress.step))

    def loop(self, say: Callable[[str], None]) -> None:
        """Train until the budget is spent, saving now and then."""
        self.codec.train()
        began_s = time.monotonic() - self.progress.elapsed_s
        saved_s = self.progress.elapsed_s
        while self.progress.share(self.settings) < 1:
            metrics = self._step()
            self.progress.step += 1
            self.progress.elapsed_s = time.monotonic() - began_s
            if self.progress.step % self.settings.log_every_steps == 0:
                self._log(metrics)
                say(f"{self.progress.share(self.settings):4.0%} " + _line(metrics))
            if self.progress.elapsed_s - saved_s > self.settings.save_every_s:
                saved_s = self.progress.elapsed_s
                self._save()
        self.codec.eval()
        self._save()

    def _step(self) -> dict[str, float]:
        share = self.progress.share(self.settings)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * _one_cycle(share, self.settings.warmup)
        audio = self._crops(self.progress.step)
        latents = self._encode(audio)
        decoded = self._decode(latents + self._noise(latents, share))
        terms = self.spectral_loss(decoded, audio)
        about_latents = self.latent_loss(latents)
        loss = (
            sum(terms.values(), torch.zeros(()))
            + self.settings.centre_weight * about_latents["centre"]
            + self.settings.covariance_weight * about_latents["covariance"]
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.codec.parameters(), self.settings.clip)
        if norm.isfinite():  # a step that overflowed teaches nothing
            self.optimiser.step()
        named = {"loss": loss, **terms, **about_latents, "gradient": norm}
        return {name: value.item() for name, value in named.items()} | {"rank": effective_rank(latents)}

    def _encode(self, audio: Tensor) -> Tensor:
        """The encoder's way with its learned layers in bfloat16."""
        encoder = self.codec.encoder
        levels, phased = encoder.features(audio)
        with torch.autocast("cpu", torch.bfloat16):
            learned = encoder.learned(torch.cat([levels, phased], dim=-1))
        return (encoder.skip(encoder.skip_features(levels)) + learned.float()).transpose(1, 2)

    def _decode(self, latents: Tensor) -> Tensor:
        decoder = self.codec.decoder
        with torch.autocast("cpu", torch.bfloat16):
            values = decoder.learned(latents)
        return decoder.waveform(values.float())

    def _crops(self, number: int) -> Tensor:
        return torch.from_numpy(self.reader.batch(number, self.settings.batch))

    def _noise(self, latents: Tensor, share: float) -> Tensor:
        """Noise of a random strength a crop, from a generator that a resumed run finds again."""
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.progress.step)
        most = self.settings.noise * min(1.0, share / self.settings.noise_ramp)
        strength = most * torch.rand(len(latents), 1, 1, generator=generator)
        return strength * torch.randn(latents.shape, generator=generator)

    def _log(self, metrics: dict[str, float]) -> None:
        line = {**asdict(self.progress), **{name: round(value, 5) for name, value in metrics.items()}}
        with (self.out_dir / METRICS_NAME).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        self.codec.provenance = (
            f"samuel-train codec: {self.progress.step} steps of {self.settings.batch} crops "
            f"from {len(self.training_songs)} songs, seed {self.settings.seed}"
        )
        save_small_codec(self.out_dir, self.codec)
        state = {
            "codec": self.codec.state_dict(),
            "latent_loss": self.latent_loss.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        with replacing(self.out_dir / STATE_NAME) as temporary:
            torch.save(state, temporary)


def _one_cycle(share: float, warmup: float) -> float:
    """Linear rise, then half a cosine down to zero."""
    if share < warmup:
        return max(share / warmup, 0.01)
    return (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) / 2


def _line(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
