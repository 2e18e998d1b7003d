"""How far a codec's output is from its input, on recordings it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samuel_train.codec.fit.excerpts import Excerpt
from samuel_train.codec.losses.spectral import REPORTED, MelSpectrum, effective_rank, log_mel_distance
from samuel_train.codec.model.base import Codec
from samuel_train.data.stem_reader import StemReader
from samuel_train.evaluate.metrics.attacks import attack_loss_db
from samuel_train.evaluate.metrics.bass_line import bass_notes_right
from samuel_train.evaluate.metrics.cqt_chroma import cqt_chroma_correlation
from samuel_train.evaluate.metrics.fine_spectrum import log_spectral_distance_db
from samuel_train.evaluate.metrics.frame_lines import frame_lines
from samuel_train.evaluate.metrics.pitch import PitchScore, Process, pitch_scores
from samuel_train.evaluate.metrics.sound import side_share
from samuel_train.evaluate.references import MP3, OPUS, through_mp3, through_opus
from samuel_train.evaluate.written_bass import written_bass

LATENT_NOISE = 0.2
"""Standard deviation of the noise that ``noise_cost`` is measured with, in units of each channel's own."""
_LOW_HIGHEST_HZ = 8000.0
_SHOWN_FRAMES = 128
_BASSES_MOST = 12
_REFERENCES = {f"band, {MP3}": through_mp3, f"band, {OPUS}": through_opus}
_QUIETEST = 1e-8


@dataclass(frozen=True)
class Measures:
    """Of one recording, or the mean of several. What has no onsets, or is too short for a measure, has None there."""

    log_mel: float
    """Mean absolute difference of log-mel magnitudes: 80 bands, natural logarithm, floor 1e-5."""
    log_mel_below_8k: float
    """The same with the 80 bands spread below 8 kHz."""
    fine_db: float
    """Mean absolute difference of log magnitudes below 2 kHz in windows of 186 ms, dB."""
    lines_db: float
    """Power on multiples of the frame rate over that of their neighbours, median, dB; see metrics/frame_lines.py."""
    prominent_lines: float
    """Share of those lines more than 10 dB above their neighbours."""
    harmony: float | None
    """Correlation of librosa's CQT chroma by the second."""
    attack_loss_db: float | None
    """By how much less onsets rise than they should, dB; see metrics/attacks.py."""
    level_db: float
    """RMS of the output over that of the input, in dB."""
    level_error_db: float
    """The same without its sign."""
    width: float
    """The side signal's share of the output's power."""
    true_width: float
    """The side signal's share of the input's power."""
    noise_cost: float | None = None
    """By which share ``log_mel`` grows with noise of 0.2 on the latents; None where there are no latents."""


@dataclass(frozen=True)
class CodecReport:
    """Means over the recordings of each kind, tones of known pitch, and the latents of all recordings."""

    kinds: dict[str, Measures]
    """By kind; bands through MP3 and Opus are kinds as well."""
    bass_right: tuple[int, int, int] | None
    """Written bass notes whose pitch class is found in the true bands, after the codec, and how many were asked about;
    None where no song says how it was composed."""
    pitch: list[PitchScore]
    """Of tones through the codec."""
    noisy_pitch: list[PitchScore]
    """The same with noise of 0.2 on the latents."""
    effective_rank: float
    """exp(entropy) of the eigenvalues of the latents' correlation matrix."""

    def __str__(self) -> str:
        lines = [
            f"{'':16} log-mel  <8 kHz  fine dB  lines dB  >10 dB  harmony  attack dB  level dB  width (true)  noise 0.2"
        ]
        lines += [
            f"{kind[:16]:16} {m.log_mel:7.3f} {m.log_mel_below_8k:7.3f} {m.fine_db:8.1f} {m.lines_db:+9.1f}"
            f" {m.prominent_lines:7.2f} {_or_none(m.harmony, '8.2f')} {_or_none(m.attack_loss_db, '+10.1f')}"
            f" {m.level_db:+9.2f}  {m.width:.3f} ({m.true_width:.3f}) {_or_none(m.noise_cost, '+9.1%')}"
            for kind, m in self.kinds.items()
        ]
        lines += [f"{'':28} MIDI    tones  cents  right  YIN   with noise: cents  right"]
        lines += [
            f"{one.scene:28} {one.lowest_midi}-{one.highest_midi} {one.tones:7} {one.median_cents:7.0f}"
            f" {one.right:6.2f} {_or_none(one.right_by_yin, '4.2f')} {noisy.median_cents:18.0f} {noisy.right:6.2f}"
            for one, noisy in zip(self.pitch, self.noisy_pitch, strict=True)
        ]
        if self.bass_right is not None:
            true, decoded, asked = self.bass_right
            lines.append(
                f"pitch class of {asked} bass notes: {true / asked:.2f} in the bands, {decoded / asked:.2f} after"
            )
        return "\n".join([*lines, f"effective rank {self.effective_rank:.1f}"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def _or_none(value: float | None, form: str) -> str:
    return f"{'-' if value is None else format(value, form):>{int(''.join(filter(str.isdigit, form.split('.')[0])))}}"


def shown(codec: Codec, excerpts: Sequence[Excerpt]) -> dict[str, np.ndarray]:
    """Some seconds of the last recording of each kind, in mono, before and after the codec: what a picture shows."""
    waveforms: dict[str, np.ndarray] = {}
    for kind, excerpt in {excerpt.kind: excerpt for excerpt in excerpts}.items():
        audio = excerpt.audio[:, : _SHOWN_FRAMES * codec.facts.hop_samples]
        with torch.no_grad():
            decoded = codec.decode(codec.encoder(audio[None]))[0]
        waveforms |= {kind: audio.mean(dim=0).numpy(), f"{kind}, decoded": decoded.mean(dim=0).numpy()}
    return waveforms


def evaluate_codec(codec: Codec, excerpts: Sequence[Excerpt], songs: Sequence[StemReader]) -> CodecReport:
    """Encode and decode recordings and tones, as they are and with noise on the latents.

    Args:
        codec: in eval mode, on the CPU.
        excerpts: at least one.
        songs: whose basses are looked for, where they say how they were composed.
    """
    kinds, latents = recordings_measured(codec, excerpts)
    round_trip = _RoundTrip(codec, latents.std(dim=2, keepdim=True))
    rate = codec.facts.sample_rate_hz
    return CodecReport(
        kinds=kinds,
        bass_right=_bass_right(songs, round_trip.plain, rate),
        pitch=pitch_scores(round_trip.plain, rate),
        noisy_pitch=pitch_scores(round_trip.noisy, rate),
        effective_rank=effective_rank(latents),
    )


@torch.no_grad()
def recordings_measured(codec: Codec, excerpts: Sequence[Excerpt]) -> tuple[dict[str, Measures], Tensor]:
    """Measures by kind, and all latents (1, channels, frames).

    Bands are measured through MP3 and Opus as well, which are kinds of their own.
    """
    encoded = [codec.encoder(excerpt.audio[None]) for excerpt in excerpts]
    joined = torch.cat([latents[0] for latents in encoded], dim=1)[None]
    round_trip = _RoundTrip(codec, joined.std(dim=2, keepdim=True))
    judge = _Judge(codec.facts.sample_rate_hz, codec.facts.hop_samples)
    by_kind: dict[str, list[Measures]] = {}
    for excerpt, latents in zip(excerpts, encoded, strict=True):
        measures = judge.measures(excerpt.audio, codec.decode(latents)[0])
        with_noise = codec.decode(latents + round_trip.noise(latents))[0]
        cost = judge.log_mel(excerpt.audio, with_noise) / max(measures.log_mel, _QUIETEST) - 1
        by_kind.setdefault(excerpt.kind, []).append(replace(measures, noise_cost=cost))
        for name, reference in _REFERENCES.items() if excerpt.kind == "band" else ():
            known = torch.from_numpy(reference(excerpt.audio.T.numpy(), codec.facts.sample_rate_hz).T.copy())
            by_kind.setdefault(name, []).append(judge.measures(excerpt.audio, known))
    return {kind: _mean(measured) for kind, measured in by_kind.items()}, joined


class _RoundTrip:
    """Through a codec and back, (samples, 2) float32 to the same."""

    def __init__(self, codec: Codec, spread: Tensor) -> None:
        """``spread`` is the standard deviation of each channel's latents, (1, channels, 1)."""
        self._codec, self._spread = codec, spread
        self._generator = torch.Generator().manual_seed(0)

    def noise(self, latents: Tensor) -> Tensor:
        """As a denoiser leaves it."""
        return LATENT_NOISE * self._spread * torch.randn(latents.shape, generator=self._generator)

    @torch.no_grad()
    def plain(self, samples: np.ndarray) -> np.ndarray:
        """As it is."""
        return self._decoded(self._encoded(samples), len(samples))

    @torch.no_grad()
    def noisy(self, samples: np.ndarray) -> np.ndarray:
        """With noise on the latents."""
        latents = self._encoded(samples)
        return self._decoded(latents + self.noise(latents), len(samples))

    def _encoded(self, samples: np.ndarray) -> Tensor:
        padded = np.pad(samples, ((0, -len(samples) % self._codec.facts.hop_samples), (0, 0)))
        latents: Tensor = self._codec.encoder(torch.from_numpy(padded.T.copy())[None])
        return latents

    def _decoded(self, latents: Tensor, samples: int) -> np.ndarray:
        return self._codec.decode(latents)[0].numpy().T[:samples]


def _bass_right(songs: Sequence[StemReader], process: Process, rate: int) -> tuple[int, int, int] | None:
    counts = []
    for song in songs[:_BASSES_MOST]:
        if hits := written_bass(song.song.folder):
            band = song.read("accompaniment", 0, song.samples).T
            (true, asked), (decoded, _) = (bass_notes_right(each, rate, hits) for each in (band, process(band)))
            counts.append((true, decoded, asked))
    true, decoded, asked = np.sum(counts, axis=0) if counts else (0, 0, 0)
    return (int(true), int(decoded), int(asked)) if asked else None


class _Judge:
    """The spectra that measures are taken from."""

    def __init__(self, sample_rate_hz: int, hop_samples: int) -> None:
        self.rate, self.hop = sample_rate_hz, hop_samples
        self.full = MelSpectrum(REPORTED, sample_rate_hz)
        self.low = MelSpectrum(REPORTED, sample_rate_hz, _LOW_HIGHEST_HZ)

    def log_mel(self, true: Tensor, decoded: Tensor) -> float:
        """Of twice (2, samples)."""
        return log_mel_distance(self.full(decoded), self.full(true)).item()

    def measures(self, true: Tensor, decoded: Tensor) -> Measures:
        """Of twice (2, samples)."""
        level_db = 10 * math.log10((_power(decoded) + _QUIETEST) / (_power(true) + _QUIETEST))
        made, reference = decoded.T.numpy(), true.T.numpy()
        lines = frame_lines(made, self.rate, self.hop)
        return Measures(
            log_mel=self.log_mel(true, decoded),
            log_mel_below_8k=log_mel_distance(self.low(decoded), self.low(true)).item(),
            fine_db=log_spectral_distance_db(made, reference, self.rate),
            lines_db=lines.excess_db,
            prominent_lines=lines.prominent_share,
            harmony=_finite(cqt_chroma_correlation(made, reference, self.rate)),
            attack_loss_db=_finite(attack_loss_db(made, reference, self.rate)),
            level_db=level_db,
            level_error_db=abs(level_db),
            width=side_share(made),
            true_width=side_share(reference),
        )


def _mean(measured: Sequence[Measures]) -> Measures:
    def mean(name: str) -> float | None:
        there = [value for one in measured if (value := getattr(one, name)) is not None]
        return float(np.mean(there)) if there else None

    return Measures(**{field.name: mean(field.name) for field in fields(Measures)})  # type: ignore[arg-type]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _power(audio: Tensor) -> float:
    return audio.double().square().mean().item()
