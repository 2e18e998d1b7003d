"""How far a codec's output is from its input, on recordings it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samuel_runtime.audio import AudioFile, resampled
from samuel_runtime.errors import UserError
from samuel_train.codec.base import Codec
from samuel_train.codec.crops import Song
from samuel_train.codec.losses import HEARD, MelSpectrum, effective_rank, log_mel_distance
from samuel_train.evaluate.excerpt import loudest_start
from samuel_train.evaluate.sound import side_share

LATENT_NOISE = 0.2
"""Standard deviation of the noise that ``noise_cost`` is measured with, in units of each channel's own."""
_LOW_HIGHEST_HZ = 8000.0
_EXCERPT_FRAMES = 256
_SONGS_MOST = 24
_RECORDING_FRAMES, _SHOWN_FRAMES = 512, 128
_CHROMA_WINDOW, _CHROMA_HOP = 8192, 2048
_CHROMA_HZ = (55.0, 5000.0)
_QUIETEST = 1e-8


@dataclass(frozen=True)
class Excerpt:
    """A recording, or the middle of it."""

    kind: str
    """Such as ``voice``, ``band`` or ``mix``: what it is averaged with."""
    audio: Tensor
    """(2, samples) float32, a whole number of latent frames."""


@dataclass(frozen=True)
class Measures:
    """Of one recording, or the mean of several."""

    log_mel: float
    """Mean absolute difference of log-mel magnitudes: 80 bands, natural logarithm, floor 1e-5."""
    log_mel_below_8k: float
    """The same with the 80 bands spread below 8 kHz."""
    noise_cost: float
    """By which share ``log_mel`` grows with noise of 0.2 on the latents."""
    level_db: float
    """RMS of the output over that of the input, in dB."""
    level_error_db: float
    """The same without its sign."""
    width: float
    """The side signal's share of the output's power."""
    true_width: float
    """The side signal's share of the input's power."""
    chroma: float
    """Mean cosine, over frames of 186 ms, of the twelve pitch classes' magnitudes between 55 Hz and 5 kHz."""


@dataclass(frozen=True)
class CodecReport:
    """Means over the recordings of each kind, and the latents of all of them."""

    kinds: dict[str, Measures]
    """By kind."""
    effective_rank: float
    """exp(entropy) of the eigenvalues of the latents' correlation matrix."""

    def __str__(self) -> str:
        lines = [f"{'':12} log-mel  <8 kHz  noise 0.2  level dB  width (true)   chroma"]
        lines += [
            f"{kind[:12]:12} {m.log_mel:7.3f} {m.log_mel_below_8k:7.3f} {m.noise_cost:+10.1%} {m.level_db:+9.2f}"
            f" {m.width:6.3f} ({m.true_width:.3f}) {m.chroma:8.3f}"
            for kind, m in self.kinds.items()
        ]
        return "\n".join([*lines, f"effective rank {self.effective_rank:.1f}"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"effective_rank": self.effective_rank, "kinds": {kind: asdict(m) for kind, m in self.kinds.items()}}


def excerpts_of(songs: Sequence[Song], hop_samples: int) -> list[Excerpt]:
    """Voice, band and mix of every song, where the voice is loudest; at most 24 songs are heard."""
    excerpts = []
    for song in songs[:_SONGS_MOST]:
        samples = min(_EXCERPT_FRAMES, song.samples // hop_samples) * hop_samples
        start = loudest_start(song.read("vocals", 0, song.samples).T, samples)
        voice, band = (song.read(stem, start, samples) for stem in ("vocals", "accompaniment"))
        for kind, audio in (("voice", voice), ("band", band), ("mix", (voice + band) / 2)):
            excerpts.append(Excerpt(kind, torch.from_numpy(audio)))
    return excerpts


def excerpt_of(path: Path, sample_rate_hz: int, hop_samples: int) -> Excerpt:
    """A recording of any rate and channels, at most 24 s from its start, as a kind of its own: the file's name.

    Raises:
        UserError: if it cannot be read, or is shorter than a frame.
    """
    audio = AudioFile.open(path)
    samples = np.concatenate(list(resampled(audio, sample_rate_hz, 2)))[: _RECORDING_FRAMES * hop_samples]
    if len(samples) < hop_samples:
        raise UserError(f"{path}: shorter than {hop_samples} samples; give a longer recording")
    return Excerpt(path.stem, torch.from_numpy(samples[: len(samples) // hop_samples * hop_samples].T.copy()))


def shown(codec: Codec, excerpts: Sequence[Excerpt]) -> dict[str, np.ndarray]:
    """Some seconds of the last recording of each kind, in mono, before and after the codec: what a picture shows."""
    waveforms: dict[str, np.ndarray] = {}
    for kind, excerpt in {excerpt.kind: excerpt for excerpt in excerpts}.items():
        audio = excerpt.audio[:, : _SHOWN_FRAMES * codec.facts.hop_samples]
        with torch.no_grad():
            decoded = codec.decoder(codec.encoder(audio[None]))[0]
        waveforms |= {kind: audio.mean(dim=0).numpy(), f"{kind}, decoded": decoded.mean(dim=0).numpy()}
    return waveforms


@torch.no_grad()
def evaluate_codec(codec: Codec, excerpts: Sequence[Excerpt]) -> CodecReport:
    """Encode and decode recordings, as they are and with noise on the latents.

    Args:
        codec: in eval mode, on the CPU.
        excerpts: at least one.
    """
    encoded = [codec.encoder(excerpt.audio[None]) for excerpt in excerpts]
    joined = torch.cat([latents[0] for latents in encoded], dim=1)[None]  # (1, channels, all frames)
    spread = joined.std(dim=2, keepdim=True)
    judge = _Judge(codec.facts.sample_rate_hz)
    generator = torch.Generator().manual_seed(0)
    by_kind: dict[str, list[Measures]] = {}
    for excerpt, latents in zip(excerpts, encoded, strict=True):
        noise = LATENT_NOISE * spread * torch.randn(latents.shape, generator=generator)
        decoded, noisy = codec.decoder(latents)[0], codec.decoder(latents + noise)[0]
        by_kind.setdefault(excerpt.kind, []).append(judge.measures(excerpt.audio, decoded, noisy))
    return CodecReport({kind: _mean(measured) for kind, measured in by_kind.items()}, effective_rank(joined))


class _Judge:
    """The spectra that measures are taken from."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.full = MelSpectrum(HEARD, sample_rate_hz)
        self.low = MelSpectrum(HEARD, sample_rate_hz, _LOW_HIGHEST_HZ)
        self.chroma = Chroma(sample_rate_hz)

    def measures(self, true: Tensor, decoded: Tensor, noisy: Tensor) -> Measures:
        """Of three times (2, samples)."""
        log_mel = log_mel_distance(self.full(decoded), self.full(true)).item()
        level_db = 10 * math.log10((_power(decoded) + _QUIETEST) / (_power(true) + _QUIETEST))
        return Measures(
            log_mel=log_mel,
            log_mel_below_8k=log_mel_distance(self.low(decoded), self.low(true)).item(),
            noise_cost=log_mel_distance(self.full(noisy), self.full(true)).item() / max(log_mel, _QUIETEST) - 1,
            level_db=level_db,
            level_error_db=abs(level_db),
            width=side_share(decoded.T.numpy()),
            true_width=side_share(true.T.numpy()),
            chroma=nn.functional.cosine_similarity(self.chroma(decoded), self.chroma(true), dim=-1).mean().item(),
        )


class Chroma(nn.Module):
    """Magnitudes of the twelve pitch classes, C first: every bin counts for the semitone that it is nearest to."""

    classes: Tensor
    window: Tensor

    def __init__(self, sample_rate_hz: int) -> None:
        super().__init__()
        hz = torch.arange(_CHROMA_WINDOW // 2 + 1) * sample_rate_hz / _CHROMA_WINDOW
        semitones = (12 * torch.log2(hz.clamp(min=1.0) / 440) + 9).round().long() % 12  # A is 9 above C
        heard = (hz >= _CHROMA_HZ[0]) & (hz <= _CHROMA_HZ[1])
        self.register_buffer("classes", nn.functional.one_hot(semitones, 12) * heard[:, None].float(), persistent=False)
        self.register_buffer("window", torch.hann_window(_CHROMA_WINDOW), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """(channels, samples) to (frames, 12)."""
        missing = max(0, _CHROMA_WINDOW - audio.shape[-1])
        frames = nn.functional.pad(audio, (0, missing)).unfold(-1, _CHROMA_WINDOW, _CHROMA_HOP)
        spectrum = torch.fft.rfft(frames * self.window)
        magnitude = (spectrum.real.square() + spectrum.imag.square()).mean(dim=0).sqrt()  # (frames, bins)
        return magnitude @ self.classes


def _mean(measured: Sequence[Measures]) -> Measures:
    names = [field.name for field in fields(Measures)]
    return Measures(**{name: float(np.mean([getattr(one, name) for one in measured])) for name in names})


def _power(audio: Tensor) -> float:
    return audio.double().square().mean().item()
