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

from samuel_runtime.errors import UserError
from samuel_train.data.annotations import mark
from samuel_train.data.stems import find_songs
from samuel_train.evaluate.metrics.beats import beat_score, tempo_agrees, tempo_bpm, track_beats
from samuel_train.evaluate.songs import read_facts, read_stems
from samuel_train.evaluate.spectra import ANALYSIS_RATE_HZ, FRAME_S, HOP_SAMPLES, analysed, magnitude, onset_strength

RATE_HZ = 44_100
BANDS, WIDTH, KERNEL = 40, 48, 5
REACHES = {"1.2 s": (1, 2, 4, 8, 10), "12 s": (1, 2, 4, 8, 16, 32, 64, 128)}
"""To either side, and the dilations: a frame is 23 ms, and a layer reaches twice its dilation."""
CROP_FRAMES, BATCH = 512, 16
_MEL_WINDOW, _MEL_FLOOR = 1024, 1e-3


@dataclass(frozen=True, eq=False)
class Voice:
    """The voice and the true beats of one song."""

    mel: Tensor
    """(bands, frames), log magnitudes."""
    beats_s: np.ndarray
    """True beats in seconds."""

    @property
    def target(self) -> Tensor:
        """(frames,) 1 at a beat, one half beside it."""
        frames = np.zeros(self.mel.shape[1], np.float32)
        mark(frames, np.round(self.beats_s / FRAME_S).astype(int))
        return torch.from_numpy(frames)


class VocalContextEncoder(nn.Module):
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


def read_voices(folder: Path, most: int) -> list[Voice]:
    """The first songs of a folder that ``samuel-train synthesize`` wrote."""
    bank = librosa.filters.mel(sr=ANALYSIS_RATE_HZ, n_fft=_MEL_WINDOW, n_mels=BANDS)
    voices = []
    for song in find_songs(folder)[0][:most]:
        voice = analysed(read_stems(song, RATE_HZ, 2).vocals, RATE_HZ)
        mel = np.log(bank @ magnitude(voice, _MEL_WINDOW, HOP_SAMPLES) + _MEL_FLOOR)
        facts = read_facts(song)
        if facts is None:
            raise UserError(f"{song.vocals.parent}: has no song.json; render songs with `samuel-train synthesize`")
        voices.append(Voice(torch.from_numpy((mel - mel.mean()) / mel.std()).float(), np.array(facts.beats_s)))
    return voices


def read_onsets(folder: Path) -> dict[str, list[np.ndarray]]:
    """Onset strength of bands and voices, by whose it is, of every song."""
    stems = [read_stems(song, RATE_HZ, 2) for song in find_songs(folder)[0]]
    return {
        "the band": [onset_strength(analysed(one.accompaniment, RATE_HZ)) for one in stems],
        "the voice": [onset_strength(analysed(one.vocals, RATE_HZ)) for one in stems],
    }


def train(voices: Sequence[Voice], dilations: Sequence[int], steps: int, seed: int = 0) -> VocalContextEncoder:
    """A vocal context encoder of that reach, after so many steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    encoder = VocalContextEncoder(dilations)
    optimiser = torch.optim.AdamW(encoder.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    pairs = [(voice.mel, voice.target) for voice in voices if voice.mel.shape[1] >= CROP_FRAMES]
    for _ in range(steps):
        crops = []
        for index in rng.integers(len(pairs), size=BATCH):
            mel, target = pairs[index]
            start = int(rng.integers(mel.shape[1] - CROP_FRAMES + 1))
            crops.append((mel[:, start : start + CROP_FRAMES], target[start : start + CROP_FRAMES]))
        mels, targets = (torch.stack(each) for each in zip(*crops, strict=True))
        loss = functional.binary_cross_entropy_with_logits(encoder(mels), targets, pos_weight=torch.tensor(5.0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return encoder.eval()


def scores(voices: Sequence[Voice], strengths: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean F-measure of the beats tracked in those envelopes, and the share of tempos within 4 %, octaves allowed."""
    f_measures, tempos = [], []
    for voice, strength in zip(voices, strengths, strict=True):
        beats_s = track_beats(strength)
        f_measures.append(beat_score(voice.beats_s, beats_s))
        tempos.append(tempo_agrees(tempo_bpm(voice.beats_s), tempo_bpm(beats_s)))
    return float(np.mean(f_measures)), float(np.mean(tempos))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heard_beats", description=__doc__)
    parser.add_argument("training", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--songs", type=int, default=1000, help="at most so many to learn from")
    parser.add_argument("--steps", type=int, default=1500)
    given = parser.parse_args()
    training, heldout = read_voices(given.training, given.songs), read_voices(given.heldout, given.songs)
    rows = read_onsets(given.heldout)
    for name, dilations in REACHES.items():
        encoder = train(training, dilations, given.steps)
        with torch.no_grad():
            rows[f"learnt from the voice, {name}"] = [encoder(v.mel[None])[0].sigmoid().numpy() for v in heldout]
    print(f"{'beats tracked in':32} F-measure  tempo within 4 %")
    for name, strengths in rows.items():
        f_measure, tempo = scores(heldout, strengths)
        print(f"{name:32} {f_measure:9.2f}  {tempo:16.0%}")


if __name__ == "__main__":
    main()
