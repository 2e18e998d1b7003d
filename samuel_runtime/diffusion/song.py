"""A whole song's latents, sampled window by window: each takes up what the one before has drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.diffusion.denoiser import DenoiserBackend, Sampling
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import timesteps_for
from samuel_runtime.diffusion.windows import windows_of
from samuel_runtime.errors import UserError
from samuel_runtime.progress import OnProgress, Reporter, Step
from samuel_runtime.settings import Settings


def sample_song(
    denoiser: DenoiserBackend,
    manifest: Manifest,
    vocals: np.ndarray,
    sheet: np.ndarray | None,
    settings: Settings,
    song: np.ndarray,
    progress: OnProgress | None = None,
) -> Iterator[int]:
    """Fill ``song`` while it is iterated.

    Args:
        denoiser: of the manifest's bundle.
        manifest: says how windows are laid out.
        vocals: normalised latents, float32 (channels, frames).
        sheet: the song's lead sheet by :func:`samuel_runtime.leadsheet.raster.rasterised`, so that all windows share
            one grid, float32 (34, frames); None for models without.
        settings: sampler, steps, guidance and seed.
        song: normalised latents of the accompaniment, of the shape of ``vocals``.
        progress: called after every denoising step.

    Yields:
        After every window, how many frames no later one draws again.

    Raises:
        UserError: the model produced NaN.
    """
    count = manifest.model.denoising_steps(settings.steps)
    timesteps = tuple(timesteps_for(settings.sampler, denoiser.schedule, count))
    sampling = Sampling(
        settings.sampler, timesteps, manifest.model.guided(settings.guidance), manifest.statistics.clamp
    )
    windows = windows_of(manifest, vocals.shape[1])
    report = Reporter("sample", progress)
    for number, (window, following) in enumerate(zip(windows, [*windows[1:], None], strict=True)):
        span = slice(window.start, window.start + window.frames)
        prefix_latents = song[:, span][:, : window.prefix_frames]

        def draw(t: int, start: int = window.start, frames: int = window.frames) -> np.ndarray:
            return noise(settings.seed, t, start, frames, len(vocals))[None]

        of_window = None if sheet is None else sheet[None, :, span]
        steps = denoiser.trajectory(vocals[None, :, span], prefix_latents[None], sampling, draw, of_window)
        for index, (t, (latents,)) in enumerate(zip(timesteps, steps, strict=True)):
            report(number * count + index + 1, len(windows) * count, Step(number, index, t, latents))
        if not np.isfinite(latents).all():
            raise UserError(
                "the model produced NaN or infinite latents; "
                "try another `seed`, a lower `guidance`, or `provider='cpu'`"
            )
        song[:, span] = latents
        yield song.shape[1] if following is None else following.start + following.prefix_frames
