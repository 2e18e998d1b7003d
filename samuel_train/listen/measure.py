"""How well an estimator hears songs that it was not trained on.

    python -m samuel_train.listen.measure estimator.safetensors --voices HELDOUT --sheets openewld.zip

Beats are tracked on the activations by librosa, without the decoder of the lead sheet, and the likeliest root of every
frame is taken as it is: what stands here is the estimator's alone. Needs samuel-deploy[evaluate].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from samuel_runtime.cli import console
from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.estimator import FRAMES_MULTIPLE
from samuel_runtime.melody import MelodyTracks, melody_features
from samuel_train.evaluate.metrics.beats import beat_score, tempo_agrees, tempo_bpm, track_beats
from samuel_train.evaluate.spectra import FRAME_S as BEAT_FRAME_S
from samuel_train.listen.checkpoint import load_estimator
from samuel_train.listen.examples import HELD_OUT_SEED, Examples
from samuel_train.listen.network import EstimatorNetwork
from samuel_train.listen.songs.scores import read_scores
from samuel_train.listen.songs.targets import UNKNOWN, targets_of
from samuel_train.listen.songs.voices import hear_voices

_SIMULATED = 40


@dataclass(frozen=True)
class Measured:
    """Of one song."""

    beat_f: float
    """F-measure of the beats, within 70 ms."""
    tempo: bool
    """Whether it is within 4 % of the true one, its half or its double."""
    root: float
    """Share of the time in which the likeliest root is the chord's."""
    key: bool
    """Whether the likeliest key of the whole song is right."""


@torch.no_grad()
def measure(network: EstimatorNetwork, tracks: MelodyTracks, sheet: LeadSheet) -> Measured:
    """Compare an estimate of a song with its sheet."""
    features = melody_features(tracks)
    padded = np.pad(features, ((0, 0), (0, -tracks.frames % FRAMES_MULTIPLE)))[None]
    said = {name: value[0].numpy() for name, value in network(torch.from_numpy(padded)).probabilities().items()}
    at_s = np.arange(0, tracks.frames * FRAME_S, BEAT_FRAME_S)
    pulses = np.interp(at_s, (np.arange(len(said["beat"])) + 0.5) * FRAME_S, said["beat"])
    beats_s = track_beats(pulses.astype(np.float32))
    truth, true_beats_s = targets_of(sheet, tracks.frames), np.array(sheet.beats_s)
    known = truth.root != UNKNOWN
    right = said["root"][: tracks.frames].argmax(axis=1) == truth.root
    return Measured(
        beat_score(true_beats_s, beats_s),
        tempo_agrees(tempo_bpm(true_beats_s), tempo_bpm(beats_s)),
        float(right[known].mean()) if known.any() else float("nan"),
        int(said["key"].sum(axis=0).argmax()) == truth.key,
    )


def _row(name: str, network: EstimatorNetwork, songs: Iterable[tuple[MelodyTracks, LeadSheet]]) -> str:
    found = [measure(network, *song) for song in songs]
    means = {field: float(np.nanmean([getattr(one, field) for one in found])) for field in Measured.__annotations__}
    return f"{name} ({len(found)} songs): " + ", ".join(f"{field} {value:.3f}" for field, value in means.items())


def _simulated(examples: Examples, count: int) -> Iterator[tuple[MelodyTracks, LeadSheet]]:
    return (examples.song(number) for number in range(count))


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--voices", type=click.Path(path_type=Path), multiple=True, help="Held-out songs with their voices.")
@click.option("--sheets", type=click.Path(path_type=Path), help="Scores, of which those in `heldout` are measured.")
def command(checkpoint: Path, voices: tuple[Path, ...], sheets: Path | None) -> None:
    """Measure an estimator on simulated songs, and on voices and scores that are held out."""
    network = load_estimator(checkpoint).build()
    click.echo(_row("simulated", network, _simulated(Examples(HELD_OUT_SEED), _SIMULATED)))
    if sheets is not None:
        scores, _ = read_scores(sheets, held_out=True)
        examples = Examples(HELD_OUT_SEED, scores=scores, score_share=1.0)
        click.echo(_row("scores", network, _simulated(examples, len(scores))))
    heard = hear_voices(voices, lambda line: click.echo(line, err=True))
    for take in sorted({voice.take for voice in heard}):
        songs = [(voice.tracks, voice.sheet) for voice in heard if voice.take == take]
        click.echo(_row(f"voices, {take}", network, songs))
    if heard:
        click.echo(_row("voices", network, [(voice.tracks, voice.sheet) for voice in heard]))


if __name__ == "__main__":
    console.run(command)
