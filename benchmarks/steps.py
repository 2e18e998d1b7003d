"""How many steps, by which sampler, at which timesteps: distances from the many-step limit.

    python -m benchmarks.steps --voices singer.wav

Every take is one voice and one seed. Its limit is dpm++2m on all timesteps; a row is as near to it as its latents
(relative L2) and its decoded audio (log-mel distance, see samuel_runtime/audio/mel.py) are, in the median over all.
The ancestral sampler is not here: it draws noise at every step, and so has no limit to near.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

import samuel_runtime
from benchmarks.measuring.pairs import relative_l2
from benchmarks.spacings import SPACINGS
from benchmarks.tables.steps_picture import draw
from samuel_runtime.audio.mel import log_mel_distance
from samuel_runtime.audio.samples import Audio
from samuel_runtime.diffusion.denoiser import Sampling
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import power_spaced_timesteps
from samuel_runtime.files import replacing
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_STEPS, Provider, Sampler

COUNTS = (4, 6, 8, 10, 12, 16, 20, 25, 35, 50, 100)
SAMPLERS = (Sampler.DDIM, Sampler.DPM_SOLVER_2M, Sampler.UNIPC)
OTHER_COUNTS = (8, 16, 25)
"""Where the spacings that the runtime does not use are measured too."""
_LIMIT = Sampler.DPM_SOLVER_2M
_TIMED_STEPS = 5
EXAMPLE = Path(samuel_runtime.__file__).parent / "assets" / "example_voice.flac"


@dataclass(frozen=True)
class Row:
    """One sampler at one spacing and number of steps."""

    sampler: str
    """Its name on the command line."""
    spacing: str
    """A key of SPACINGS."""
    steps: int
    """As asked for."""
    distance: float
    """Relative L2 distance of the latents from the limit's, median over the takes."""
    log_mel: float
    """Log-mel distance of the audio from the limit's, median over the takes."""
    distances: list[float]
    """Take by take."""


@dataclass(frozen=True)
class Study:
    """What was measured."""

    guidance: float
    """The bundle's default."""
    takes: list[str]
    """Voice, frames and seed of each take."""
    another_seed: tuple[float, float]
    """Distance and log-mel distance between the limits of takes of one voice, median: what chance changes."""
    step_s: float
    """Seconds of a guided step of a full window, the best of several."""
    window_s: float
    """Seconds of audio in a full window."""
    rows: list[Row]
    """By sampler, spacing, steps."""

    def row(self, sampler: Sampler, steps: int, spacing: str = "early") -> Row:
        """The row of that name.

        Raises:
            KeyError: it was not measured.
        """
        for row in self.rows:
            if (row.sampler, row.spacing, row.steps) == (sampler.value, spacing, steps):
                return row
        raise KeyError((sampler.value, spacing, steps))

    def table(self) -> str:
        """For people: a line per sampler and spacing, a column per number of steps."""
        counts = sorted({row.steps for row in self.rows})
        lines = [f"{'distance / log-mel':24s}" + "".join(f"{count:>16d}" for count in counts)]
        for sampler, spacing in dict.fromkeys((row.sampler, row.spacing) for row in self.rows):
            cells = {row.steps: row for row in self.rows if (row.sampler, row.spacing) == (sampler, spacing)}
            texts = [f"{cells[n].distance:.3f} / {cells[n].log_mel:.3f}" if n in cells else "" for n in counts]
            lines.append(f"{f'{sampler} {spacing}':24s}" + "".join(f"{text:>16s}" for text in texts))
        return "\n".join(lines)


def study(
    samuel: Samuel,
    voices: Mapping[str, np.ndarray],
    seeds: Sequence[int],
    counts: Sequence[int] = COUNTS,
    other_counts: Sequence[int] = OTHER_COUNTS,
    limit_steps: int | None = None,
    done: Callable[[str], None] = lambda take: None,
) -> Study:
    """Measure every row.

    Args:
        samuel: the bundle.
        voices: normalised latents (channels, frames) by name, none longer than a window.
        seeds: at least two.
        counts: numbers of steps at the runtime's spacing.
        other_counts: numbers of steps at the other spacings.
        limit_steps: of the limit; None is all timesteps.
        done: told of every take.
    """
    cases = [(sampler, "early", count) for sampler in SAMPLERS for count in counts]
    cases += [(s, name, count) for s in SAMPLERS for name in SPACINGS if name != "early" for count in other_counts]
    distances: dict[tuple[Sampler, str, int], list[tuple[float, float]]] = {case: [] for case in cases}
    schedule, names, apart = samuel.denoiser.schedule, [], []
    for name, vocals in voices.items():
        before: tuple[np.ndarray, np.ndarray] | None = None
        for seed in seeds:
            take = RenderRequest(samuel, vocals, seed)
            limit = take.latents(_LIMIT, power_spaced_timesteps(schedule, limit_steps or schedule.timesteps))
            limit_audio = take.audio(limit)
            for sampler, spacing, count in cases:
                latents = take.latents(sampler, SPACINGS[spacing](schedule, count))
                heard = log_mel_distance(take.audio(latents), limit_audio, take.sample_rate_hz)
                distances[sampler, spacing, count].append((relative_l2(latents, limit), heard))
            if before is not None:
                heard = log_mel_distance(before[1], limit_audio, take.sample_rate_hz)
                apart.append((relative_l2(before[0], limit), heard))
            before = limit, limit_audio
            names.append(f"{name}, {vocals.shape[1]} frames, seed {seed}")
            done(names[-1])
    rows = []
    for (sampler, spacing, count), values in distances.items():
        distance, log_mel = np.median(values, axis=0)
        takes = [round(value, 5) for value, _ in values]
        rows.append(Row(sampler.value, spacing, count, round(float(distance), 5), round(float(log_mel), 4), takes))
    median = np.median(apart, axis=0)
    step_s, window_s = _guided_step_s(samuel)
    another_seed = round(float(median[0]), 3), round(float(median[1]), 3)
    return Study(samuel.manifest.model.guidance, names, another_seed, step_s, window_s, rows)


class RenderRequest:
    """One voice and one seed: the way of the runtime's pipeline, at any timesteps."""

    def __init__(self, samuel: Samuel, vocals: np.ndarray, seed: int) -> None:
        """Take normalised latents of a voice, (channels, frames)."""
        self.sample_rate_hz = samuel.manifest.codec.sample_rate_hz
        self._samuel, self._seed, self._shape = samuel, seed, vocals.shape
        self._vocals = vocals[None]

    def latents(self, sampler: Sampler, timesteps: list[int]) -> np.ndarray:
        """What the sampler draws, (channels, frames)."""
        manifest, nothing = self._samuel.manifest, self._vocals[..., :0]
        sampling = Sampling(sampler, tuple(timesteps), manifest.model.guided(), manifest.statistics.clamp)
        *_, last = self._samuel.denoiser.trajectory(self._vocals, nothing, sampling, self._draw)
        return np.array(last[0])

    def audio(self, latents: np.ndarray) -> np.ndarray:
        """Decoded, (samples, channels)."""
        return np.concatenate(list(self._samuel.codec.decode(latents)))

    def _draw(self, t: int) -> np.ndarray:
        channels, frames = self._shape
        return noise(self._seed, t, 0, frames, channels)[None]


def _guided_step_s(samuel: Samuel) -> tuple[float, float]:
    """Seconds of a guided step of a full window, and seconds of audio in it."""
    model, codec = samuel.manifest.model, samuel.manifest.codec
    x = np.random.default_rng(0).standard_normal((1, model.latent_channels, model.frames)).astype(np.float32)
    step = samuel.conditioned(x)

    def run_s() -> float:
        start = perf_counter()
        step(x, [model.timesteps // 2], model.guidance)
        return perf_counter() - start

    run_s()
    return min(run_s() for _ in range(_TIMED_STEPS)), model.frames * codec.hop_samples / codec.sample_rate_hz


def _encoded(samuel: Samuel, paths: Sequence[Path], frames: int) -> Iterator[tuple[str, np.ndarray]]:
    for path in paths:
        yield path.name, samuel.encode(Audio.read(path))[:, :frames]


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle folder.  [default: the packaged one]")
@click.option("--voices", type=click.Path(path_type=Path), multiple=True, default=[EXAMPLE],
              help="A recording; may be given again.  [default: the packaged example]")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=2), default=3, show_default=True, help="Takes of each voice.")
@click.option("--frames", type=click.IntRange(min=128), default=512, show_default=True, help="Most frames of a voice.")
@click.option("--provider", type=click.Choice([p.value for p in Provider]), default=Provider.CPU.value)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: physical cores]")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("benchmarks/results/steps.json"),
              show_default=True, help="Where the numbers go.")  # fmt: skip
@click.option("--picture", type=click.Path(path_type=Path), default=Path(".github/steps.png"), show_default=True)
def main(
    bundle: Path | None,
    voices: Sequence[Path],
    seeds: int,
    frames: int,
    provider: str,
    threads: int | None,
    output: Path,
    picture: Path,
) -> None:
    """Measure what a number of steps buys; about five minutes a voice on two cores."""
    samuel = Samuel.load(bundle, Provider(provider), threads)
    frames = min(frames, samuel.manifest.model.frames) // (multiple := samuel.manifest.model.frames_multiple) * multiple
    encoded = dict(_encoded(samuel, voices, frames))
    found = study(samuel, encoded, range(seeds), done=lambda take: click.echo(f"measured {take}", err=True))
    write(output, found)
    draw(picture, asdict(found), DEFAULT_STEPS)
    click.echo(f"{found.table()}\n\n{output}\n{picture}")


def write(path: Path, found: Study) -> None:
    """Write the study as JSON, a row a line."""
    facts: dict[str, Any] = asdict(found)
    rows = ",\n  ".join(json.dumps(row) for row in facts.pop("rows"))
    head = json.dumps(facts, indent=1)[:-2]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(f'{head},\n "rows": [\n  {rows}\n ]\n}}\n')


if __name__ == "__main__":
    main()
