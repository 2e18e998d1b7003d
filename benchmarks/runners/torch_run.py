"""The whole way from a voice to a band in PyTorch, written the obvious way: what `samuel-run` is compared with.

python -m benchmarks.runners.torch_run CHECKPOINT CODEC VOICE OUT --steps N
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import soundfile
import torch

from benchmarks.runners.published import guided, published
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import sample, timesteps_for
from samuel_runtime.diffusion.schedule import Schedule, x0_denoiser
from samuel_runtime.diffusion.spread import rescale_to_unit_std
from samuel_runtime.settings import DEFAULT_SAMPLER, DEFAULT_SEED
from samuel_train.codec import load_codec
from samuel_train.model.checkpoint import load_checkpoint


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("codec", type=click.Path(path_type=Path))
@click.argument("voice", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--steps", type=int, required=True)
@click.option("--guidance", type=float, required=True)
@torch.no_grad()
def command(checkpoint: Path, codec: Path, voice: Path, out: Path, steps: int, guidance: float) -> None:
    """Make the band of a mono voice of one window or less, of whole frames, at the codec's rate."""
    loaded, both = load_checkpoint(checkpoint), load_codec(codec)
    model, statistics = published(loaded.build()), loaded.statistics
    samples, rate_hz = soundfile.read(voice, dtype="float32")
    waveform = torch.from_numpy(samples).expand(1, both.facts.channels, -1)  # (1, channels, samples)
    vocals = statistics.normalise_vocals(both.encoder(waveform)[0].numpy()).astype(np.float32)
    schedule, condition = Schedule.cosine(loaded.config.timesteps), torch.from_numpy(vocals[None])

    def network(x: np.ndarray, t: int) -> np.ndarray:
        return guided(model, torch.from_numpy(x), condition, torch.tensor([t]), guidance).numpy()

    def draw(t: int) -> np.ndarray:
        return noise(DEFAULT_SEED, t, 0, vocals.shape[1], len(vocals))[None]

    clamp = (statistics.clamp_min, statistics.clamp_max)
    denoise = x0_denoiser(network, loaded.config.prediction, schedule, clamp)
    timesteps = timesteps_for(DEFAULT_SAMPLER, schedule, steps)
    *_, last = sample(DEFAULT_SAMPLER, denoise, draw(schedule.timesteps), schedule, timesteps, draw, clamp)
    band = statistics.denormalise_accompaniment(rescale_to_unit_std(last[0])).astype(np.float32)
    soundfile.write(out, both.decode(torch.from_numpy(band[None]))[0].numpy().T, rate_hz, subtype="FLOAT")


if __name__ == "__main__":
    command()
