"""How much of the beat a voice tells: ``python -m benchmarks.heard_beats TRAINING HELDOUT``, generated songs.

A band can only follow a beat that can be heard in the voice. A small network learns to find the beats from the voice's
mel spectrum, once with the reach that the convolutions from the voice to the denoiser's bottleneck have, once with
a much longer one. Its activations go through the same beat tracker as bands do in ``samuel-train evaluate``. Beside
them: the tracker on the voice itself, and on the band.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from samuel_train.evaluate.beats import beat_score, tempo_agrees, tempo_bpm, track_beats
from samuel_train.evaluate.songs import read_facts, read_stems
from samuel_train.evaluate.spectra import ANALYSIS_RATE_HZ, FRAME_S, HOP_SAMPLES, analysed, magnitude, onset_strength
from samuel_train.stems import find_songs

RATE_HZ = 44_100
BANDS, WIDTH, KERNEL = 40, 48, 5
REACHES = {"2.4 s": (1, 2, 4, 8, 10), "24 s": (1, 2, 4, 8, 16, 32, 64, 128)}
"""Dilations; a frame is 23 ms, and a layer reaches twice its dilation to either side."""
CROP_FRAMES, BATCH = 512, 16


@dataclass(frozen=True, eq=False)
class Voice:
    """What is heard and what is true of one song."""

    mel: Tensor
    """(bands, frames), log magnitudes."""
    beats_s: np.ndarray
    """True beats in seconds."""
    voice_onsets: np.ndarray
    """(frames,) onset strength of the voice."""
    band_onsets: np.ndarray
    """(frames,) onset strength of the true band."""

    @property
    def target(self) -> Tensor:
        """(frames,) 1 at a beat, one half beside it."""
        frames = np.zeros(self.mel.shape[1], np.float32)
        at = np.round(self.beats_s / FRAME_S).astype(int)
        for offset, value in ((-1, 0.5), (1, 0.5), (0, 1.0)):
            near = at + offset
            frames[near[(near >= 0) & (near < len(frames))]] = value
        return torch.from_numpy(frames)


class Listener(nn.Module):
    """Dilated convolutions with residuals: (batch, bands, frames) to logits (batch, frames)."""

    def __init__(self, dilations: Sequence[int]) -> None:
        super().__init__()
        self.enter = nn.Conv1d(BANDS, WIDTH, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, KERNEL, dilation=d, padding=KERNEL // 2 * d) for d in dilations
        )
        self.leave = nn.Conv1d(WIDTH, 1, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Logits of a beat in every frame."""
        x = self.enter(mel)
        for layer in self.layers:
            x = x + layer(functional.gelu(x))
        return self.leave(functional.gelu(x))[:, 0]


def read_voices(folder: Path) -> list[Voice]:
    """All songs of a folder that ``samuel-train synthesize`` wrote."""
    return [_voice(song) for song in find_songs(folder)[0]]


def train(voices: Sequence[Voice], dilations: Sequence[int], steps: int, seed: int = 0) -> Listener:
    """A listener of that reach, after so many steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    listener = Listener(dilations)
    optimiser = torch.optim.AdamW(listener.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    pairs = [(voice.mel, voice.target) for voice in voices if voice.mel.shape[1] >= CROP_FRAMES]
    for _ in range(steps):
        crops = []
        for index in rng.integers(len(pairs), size=BATCH):
            mel, target = pairs[index]
            start = int(rng.integers(mel.shape[1] - CROP_FRAMES + 1))
            crops.append((mel[:, start : start + CROP_FRAMES], target[start : start + CROP_FRAMES]))
        mels, targets = (torch.stack(each) for each in zip(*crops, strict=True))
        loss = functional.binary_cross_entropy_with_logits(listener(mels), targets, pos_weight=torch.tensor(5.0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return listener.eval()


def scores(voices: Sequence[Voice], strengths: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean F-measure of the beats tracked in those envelopes, and the share of tempos within 4 %, octaves allowed."""
    f_measures, tempos = [], []
    for voice, strength in zip(voices, strengths, strict=True):
        beats_s = track_beats(strength)
        f_measures.append(beat_score(voice.beats_s, beats_s))
        tempos.append(tempo_agrees(tempo_bpm(voice.beats_s), tempo_bpm(beats_s)))
    return float(np.mean(f_measures)), float(np.mean(tempos))


def _voice(song: object) -> Voice:
    stems = read_stems(song, RATE_HZ, 2)  # type: ignore[arg-type]
    facts = read_facts(song)  # type: ignore[arg-type]
    assert facts is not None  # generated songs have them
    heard = analysed(stems.vocals, RATE_HZ)
    bank = librosa.filters.mel(sr=ANALYSIS_RATE_HZ, n_fft=1024, n_mels=BANDS)
    mel = np.log(bank @ magnitude(heard, 1024, HOP_SAMPLES) + 1e-3)
    mel = torch.from_numpy((mel - mel.mean()) / mel.std()).float()
    band = onset_strength(analysed(stems.accompaniment, RATE_HZ))
    return Voice(mel, np.array(facts.beats_s), onset_strength(heard), band)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heard_beats", description=__doc__)
    parser.add_argument("training", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    given = parser.parse_args()
    training, heldout = read_voices(given.training), read_voices(given.heldout)
    rows = {"the band": [v.band_onsets for v in heldout], "the voice": [v.voice_onsets for v in heldout]}
    for name, dilations in REACHES.items():
        listener = train(training, dilations, given.steps)
        with torch.no_grad():
            rows[f"learnt from the voice, {name}"] = [listener(v.mel[None])[0].sigmoid().numpy() for v in heldout]
    print(f"{'beats tracked in':32} F-measure  tempo within 4 %")
    for name, strengths in rows.items():
        f_measure, tempo = scores(heldout, strengths)
        print(f"{name:32} {f_measure:9.2f}  {tempo:16.0%}")


if __name__ == "__main__":
    main()
