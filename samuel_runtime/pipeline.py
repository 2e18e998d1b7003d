"""From a voice to a band: the whole way on one screen.

samuel = Samuel.load()
band = samuel.accompany(Audio.read("vocals.wav"))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from samuel_runtime.audio.level import Level, gain_from_db
from samuel_runtime.audio.reading import Audio, Recording, resampled, resampled_count
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.codec import Codec
from samuel_runtime.diffusion.denoiser import DenoiserBackend, Network, Sampling
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import timesteps_for
from samuel_runtime.diffusion.windows import OVERLAP_FRAMES, Window, windows
from samuel_runtime.engines.availability import chosen_backends
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_parts
from samuel_runtime.errors import UserError
from samuel_runtime.progress import Observer, Step
from samuel_runtime.settings import Precision, Provider, Settings
from samuel_runtime.tuning.preference import preferred

_VOICE_RMS_DB = (-32.0, -12.0)
"""The levels of recorded voices that a codec is trained on; others are brought to the nearer end."""


class Samuel:
    """A loaded bundle."""

    def __init__(
        self, manifest: Manifest, codec: Codec, denoiser: DenoiserBackend, notes: tuple[str, ...] = ()
    ) -> None:
        """Take the parts; :meth:`load` makes them from a bundle."""
        self.manifest, self.codec, self.denoiser = manifest, codec, denoiser
        self.notes = notes
        """What its user should know of how it was loaded."""

    @classmethod
    def load(
        cls,
        bundle: Path | str | None = None,
        provider: Provider = Provider.AUTO,
        threads: int | None = None,
        precision: Precision | None = None,
    ) -> Samuel:
        """Load a bundle folder, or the packaged one.

        Args:
            bundle: the folder; None is the bundle inside the package.
            provider: where the graphs run; AUTO is what `samuel-run --doctor` measured as fastest, else the CPU. Where
                AUTO's choice does not start, the next one is taken, and the notes say so.
            threads: CPU threads; None is one per physical core.
            precision: of the arithmetic; None is what goes with AUTO's choice, else that of the provider's files.

        Raises:
            UserError: the bundle is not in order, or cannot run in this way here.
        """
        opened = Bundle.open(bundle)
        remembered = preferred(opened) if provider is Provider.AUTO else None
        backends = chosen_backends(opened.manifest, provider, precision, remembered)
        notes: list[str] = []
        while True:
            backend = backends.pop(0)
            try:
                return cls(opened.manifest, *open_parts(opened, backend, threads), tuple(notes))
            except UserError as error:
                if not backends or backend.provider is Provider.CPU:  # where everything runs that is in order
                    raise
                notes.append(f"{backend} did not start, so the next way was taken: {error}")

    @property
    def backend(self) -> Backend:
        """How the bundle runs."""
        return self.denoiser.backend

    def accompany(self, audio: Recording, settings: Settings | None = None, observer: Observer | None = None) -> Audio:
        """The band for a voice: of exactly its duration, at the codec's rate and channel count.

        Raises:
            UserError: the settings do not fit the bundle, or the result is not finite.
        """
        vocals = self.encode(audio, observer)
        latents = self.generate(vocals, settings or Settings(), observer)
        return Audio(np.concatenate(list(self.decode(latents, audio, observer))), self.manifest.codec.sample_rate_hz)

    def encode(self, recording: Recording, observer: Observer | None = None) -> np.ndarray:
        """Normalised latents of a voice, (channels, frames), padded with silence to a length the model takes."""
        facts, observer = self.manifest.codec, observer or Observer()
        gain = _encoder_gain(recording.level.laid_out(facts.channels))
        blocks = (gain * block for block in resampled(recording, facts.sample_rate_hz, facts.channels))
        frames = frames_of(self.manifest, recording)
        return self.codec.encode(blocks, frames, lambda done, total: observer.progress("encode", done, total))

    def conditioned(self, vocals_latents: np.ndarray) -> Network:
        """The denoiser for given vocals, for those who build on it: ``step(x, t, guidance=1.0)``.

        Args:
            vocals_latents: normalised, float32 (batch, channels, frames).

        Raises:
            ValueError: if the shape is not one the model takes.
        """
        facts = self.manifest.model
        if vocals_latents.ndim != 3 or vocals_latents.shape[1] != facts.latent_channels:
            raise ValueError(f"vocals latents are (batch, {facts.latent_channels}, frames), not {vocals_latents.shape}")
        if vocals_latents.shape[2] % facts.frames_multiple or vocals_latents.shape[2] == 0:
            raise ValueError(f"{vocals_latents.shape[2]} frames are not a multiple of {facts.frames_multiple}")
        return self.denoiser.conditioned(vocals_latents)

    def generate(self, vocals: np.ndarray, settings: Settings, observer: Observer | None = None) -> np.ndarray:
        """Draw the band's latents, window by window.

        Args:
            vocals: normalised latents, float32 (channels, frames).
            settings: of this take.
            observer: told of every step.

        Returns:
            Normalised latents, float32 (channels, frames).

        Raises:
            UserError: the settings do not fit the bundle, or the model produced NaN.
        """
        facts, observer = self.manifest.model, observer or Observer()
        if settings.steps > facts.timesteps:
            raise UserError(f"--steps {settings.steps}: this bundle's schedule has only {facts.timesteps} timesteps")
        spans = windows_of(self.manifest, vocals.shape[1])
        song = np.empty_like(vocals)
        for index, window in enumerate(spans):
            span = slice(window.start, window.start + window.frames)
            for step in self._steps(vocals[:, span], song[:, span][:, : window.prefix_frames], window, settings):
                observer.progress("sample", index * settings.steps + step.index + 1, len(spans) * settings.steps)
                observer.step(index, step)
            if not np.isfinite(step.latents).all():
                raise UserError(
                    "the model produced NaN or infinite latents; "
                    "try another --seed, a lower --guidance, or --provider cpu"
                )
            song[:, span] = step.latents
        return song

    def decode(
        self, latents: np.ndarray, recording: Recording, observer: Observer | None = None
    ) -> Iterator[np.ndarray]:
        """Blocks of the band's waveform, float32 (samples, channels), of exactly the recording's duration.

        Generated latents are :func:`rescale_to_unit_std` first; what ``codec.decode`` is given stays as it is.
        """
        observer = observer or Observer()
        missing = resampled_count(recording, self.manifest.codec.sample_rate_hz)
        for block in self.codec.decode(
            rescale_to_unit_std(latents), lambda done, total: observer.progress("decode", done, total)
        ):
            yield block[:missing]
            missing -= min(missing, len(block))

    def _steps(
        self, vocals: np.ndarray, prefix_latents: np.ndarray, window: Window, settings: Settings
    ) -> Iterator[Step]:
        schedule = self.denoiser.schedule
        guidance = self.manifest.model.guided(settings.guidance)
        timesteps = tuple(timesteps_for(settings.sampler, schedule, settings.steps))
        sampling = Sampling(settings.sampler, timesteps, guidance, self.manifest.statistics.clamp)

        def draw(t: int) -> np.ndarray:
            return noise(settings.seed, t, window.start, window.frames, len(vocals))[None]

        steps = self.denoiser.trajectory(vocals[None], prefix_latents[None], sampling, draw)
        for index, (t, x) in enumerate(zip(timesteps, steps, strict=True)):
            yield Step(index, t, x[0])


def rescale_to_unit_std(song: np.ndarray) -> np.ndarray:
    """Latents (channels, frames) brought back to the spread of the training data, if they have more.

    Guidance goes beyond what the network was trained to say, so guided latents spread: by 11 to 20 % at the packaged
    bundle's scale, which its decoder plays 1 dB louder, with drums at five times full scale. As the rescaling of Lin
    et al. (2024, section 3.4), which has the unguided output to compare with; here it is the z-scores' spread, 1.
    """
    spread = float(np.sqrt(np.square(song, dtype=np.float64).mean()))
    return song if spread <= 1 else song * np.float32(1 / spread)


def frames_of(manifest: Manifest, recording: Recording) -> int:
    """Latent frames of a recording, padded to a length the model takes."""
    return frames_for(manifest, resampled_count(recording, manifest.codec.sample_rate_hz))


def frames_for(manifest: Manifest, samples: int) -> int:
    """Latent frames of so many samples at the codec's rate, padded to a length the model takes."""
    facts = manifest.model
    frames = -(-samples // manifest.codec.hop_samples)
    return -(-max(frames, facts.frames_min) // facts.frames_multiple) * facts.frames_multiple


def windows_of(manifest: Manifest, frames: int) -> list[Window]:
    """The windows in which a song of so many latent frames is sampled."""
    longest = manifest.model.frames
    return windows(frames, longest, min(OVERLAP_FRAMES, longest // 2))


def _encoder_gain(level: Level) -> float:
    if level.silent:
        return 1.0
    return gain_from_db(float(np.clip(level.rms_db, *_VOICE_RMS_DB)) - level.rms_db)
