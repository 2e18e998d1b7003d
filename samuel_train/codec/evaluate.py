"""How far a codec's output is from its input, on songs it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from samuel_train.codec.base import Codec
from samuel_train.codec.crops import Song
from samuel_train.codec.losses import MelSpectrum, Resolution, effective_rank, log_mel_distance

_JUDGED = Resolution(2048, 512, 80)
_LOW_HIGHEST_HZ = 8000.0
_EXCERPT_FRAMES = 128
_SONGS_MOST = 24


@dataclass(frozen=True)
class CodecReport:
    """Averages over mixes, voices and bands of the held-out songs."""

    log_mel: float
    """Mean absolute difference of log-mel magnitudes: 80 bands, natural logarithm, floor 1e-5."""
    log_mel_below_8k: float
    """The same with the 80 bands spread below 8 kHz."""
    effective_rank: float
    """exp(entropy) of the eigenvalues of the latents' correlation matrix."""

    def __str__(self) -> str:
        return (
            f"held-out log-mel distance {self.log_mel:.3f} (below 8 kHz {self.log_mel_below_8k:.3f}), "
            f"effective rank {self.effective_rank:.1f}"
        )


@torch.no_grad()
def evaluate_codec(codec: Codec, songs: list[Song], latent_noise: float = 0.0) -> CodecReport:
    """Encode and decode the middle of every song.

    Args:
        codec: in eval mode.
        songs: at most 24 of them are heard.
        latent_noise: standard deviation of noise on the latents, in units of each channel's own.
    """
    full = MelSpectrum(_JUDGED, codec.facts.sample_rate_hz)
    low = MelSpectrum(_JUDGED, codec.facts.sample_rate_hz, _LOW_HIGHEST_HZ)
    generator = torch.Generator().manual_seed(0)
    distances: list[float] = []
    low_distances: list[float] = []
    all_latents: list[Tensor] = []
    for song in songs[:_SONGS_MOST]:
        audio = _excerpts(song, codec.facts.hop_samples)
        latents = codec.encoder(audio)
        all_latents.append(latents)
        spread = latents.std(dim=(0, 2), keepdim=True)
        noise = latent_noise * spread * torch.randn(latents.shape, generator=generator)
        decoded = codec.decoder(latents + noise)
        for mel, results in ((full, distances), (low, low_distances)):
            bands = mel(decoded)
            reference = mel(audio)
            results.append(log_mel_distance(bands, reference).item())
    return CodecReport(
        log_mel=float(np.mean(distances)),
        log_mel_below_8k=float(np.mean(low_distances)),
        effective_rank=effective_rank(torch.cat([each.transpose(0, 1).flatten(1) for each in all_latents], 1)[None]),
    )


def _excerpts(song: Song, hop_samples: int) -> Tensor:
    """(3, 2, samples): voice, band and mix from the middle of a song, a whole number of frames."""
    frames = min(_EXCERPT_FRAMES, song.samples // hop_samples)
    samples = frames * hop_samples
    start = (song.samples - samples) // 2
    vocals, accompaniment = (song.read(stem, start, samples) for stem in ("vocals", "accompaniment"))
    return torch.from_numpy(np.stack([vocals, accompaniment, (vocals + accompaniment) / 2]))
