"""From a vocal recording to an accompaniment: the whole way on one screen.

with Samuel.load() as samuel:
    samuel.accompany("vocals.wav").write("accompaniment.wav")
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from samuel_runtime.audio.concerns import concerns
from samuel_runtime.audio.level import Level, gain_from_db
from samuel_runtime.audio.peaks import with_peaks_below
from samuel_runtime.audio.reading import Recording, resampled, resampled_count
from samuel_runtime.audio.samples import Audio, AudioLike, recording_of
from samuel_runtime.audio.width import with_side_gain
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName, Manifest, ModelFacts
from samuel_runtime.codec import Codec
from samuel_runtime.codec.codec import Await
from samuel_runtime.diffusion.denoiser import DenoiserBackend, Network
from samuel_runtime.diffusion.schedule import check_steps
from samuel_runtime.diffusion.song import sample_song
from samuel_runtime.diffusion.spread import rescale_to_unit_std, unit_std_scale
from samuel_runtime.diffusion.windows import frames_for, windows_of
from samuel_runtime.engines.availability import chosen_backends
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_chord_estimator, open_estimator, open_parts
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.raster import rasterised
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.leadsheet.stated import sheet_from_given
from samuel_runtime.leadsheet.transcription import Transcriber
from samuel_runtime.progress import OnProgress, Reporter
from samuel_runtime.settings import Precision, Provider, Settings, chosen, whole_number
from samuel_runtime.tuning.preference import preferred

_VOICE_RMS_DB = (-32.0, -12.0)
"""Gated RMS of the voices that a codec is trained on; others are brought to the nearer end."""

_LOG = logging.getLogger("samuel")


class Samuel:
    """A loaded bundle; a context manager that closes it.

    Several threads may use it at once, and each gets the answer that it would get alone. A GPU takes their windows one
    after the other; on a processor they run side by side, each with all of ``threads``.
    """

    def __init__(
        self, manifest: Manifest, codec: Codec, denoiser: DenoiserBackend, transcriber: Transcriber | None = None
    ) -> None:
        """Of its parts; :meth:`load` makes them from a bundle."""
        self.manifest, self._transcriber = manifest, transcriber
        self._parts: tuple[Codec, DenoiserBackend] | None = (codec, denoiser)

    @classmethod
    def load(
        cls,
        bundle: Path | str | None = None,
        provider: Provider | str = Provider.AUTO,
        threads: int | None = None,
        precision: Precision | str | None = None,
    ) -> Samuel:
        """Load a bundle.

        Args:
            bundle: the folder; None is the bundle inside the package.
            provider: a :class:`Provider` or its value. AUTO is the fastest that `samuel-run --doctor` measured here,
                else the CPU; a choice of AUTO's that does not start is logged and replaced by the next.
            threads: CPU threads, at least 1; None is one per physical core.
            precision: a :class:`Precision` or its value; None is what goes with AUTO's choice, else that of the
                provider's files.

        Raises:
            UserError: the bundle is not in order, or cannot run in this way here.
        """
        provider = chosen(Provider, provider, "provider")
        precision = None if precision is None else chosen(Precision, precision, "precision")
        if threads is not None and (threads := whole_number(threads, "threads")) < 1:
            raise UserError(f"threads must be at least 1, not {threads}")
        opened = Bundle.open(bundle)
        remembered = preferred(opened) if provider is Provider.AUTO else None
        backends = chosen_backends(opened.manifest, provider, precision, remembered)
        while True:
            backend = backends.pop(0)
            try:
                codec, denoiser = open_parts(opened, backend, threads)
                return cls(opened.manifest, codec, denoiser, _transcriber(opened, backend, threads))
            except UserError as error:
                if not backends or backend.provider is Provider.CPU:  # where everything runs that is in order
                    raise
                _LOG.warning("%s did not start, so the next way was taken: %s", backend, error)

    def with_denoiser(self, denoiser: DenoiserBackend) -> Samuel:
        """The same bundle, and what is open of it, with another denoiser around its own."""
        return Samuel(self.manifest, self.codec, denoiser, self._transcriber)

    def close(self) -> None:
        """Give back the engines' memory, the GPU's too; may be called again.

        Streams and networks of :meth:`conditioned` that are still in use keep it until they are gone.
        """
        self._parts = None

    def __enter__(self) -> Samuel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def codec(self) -> Codec:
        """The codec.

        Raises:
            ValueError: after :meth:`close`.
        """
        return self._opened()[0]

    @property
    def denoiser(self) -> DenoiserBackend:
        """The denoiser.

        Raises:
            ValueError: after :meth:`close`.
        """
        return self._opened()[1]

    @property
    def backend(self) -> Backend:
        """Provider and precision that the bundle runs on."""
        return self.denoiser.backend

    def accompany(
        self, audio: AudioLike, settings: Settings | None = None, progress: OnProgress | None = None
    ) -> Audio:
        """Generate the accompaniment of a voice: of exactly its duration, at the codec's rate and channel count.

        Args:
            audio: the voice: a path, an :class:`Audio`, or (samples, sample rate) as :class:`Audio` takes them.
            settings: sampler, steps, guidance and seed, and what is known of the song.
            progress: called with a :class:`Progress` after every piece of work. An exception that it raises ends the
                run and is passed on: raise one to cancel.

        Raises:
            UserError: the audio or the settings are not in order or do not fit the bundle, or the model made NaN.
        """
        voice, settings = recording_of(audio), settings or Settings()
        self.check(settings)
        sheet = self.listen(voice, settings)
        latents = self.generate(self.encode(voice, progress), settings, progress, sheet)
        band = Audio(np.concatenate(list(self.decode(latents, voice, progress))), self.manifest.codec.sample_rate_hz)
        for concern in concerns(voice.level.laid_out(self.manifest.codec.channels), band.level):
            _LOG.warning("%s", concern)
        return band

    def stream(
        self, audio: AudioLike, settings: Settings | None = None, progress: OnProgress | None = None
    ) -> Generator[np.ndarray, None, None]:
        """Generate the accompaniment piece by piece: what is yielded is final while later windows are still sampled.

        The first piece comes once the voice is encoded and the first window sampled. Together the pieces are what
        :meth:`accompany` returns, bit for bit, if the song is one window long or its latents spread no more than the
        training data's (:func:`unit_std_scale` of both the song and its first window is 1). Otherwise they are decoded
        from latents of another scale, constant over the song: its standard deviation is not known yet, so the first
        window's stands for it. With the packaged bundle and 144 s of voice the scales differed by 0 and 1.2 % (two
        seeds), the sound by a log-mel distance of 0 and 0.05, where the codec itself costs 0.39.

        Args:
            audio: as for :meth:`accompany`.
            settings: as for :meth:`accompany`.
            progress: as for :meth:`accompany`; "sample" and "decode" take turns. To cancel, close the iterator.

        Returns:
            Blocks of float32 (samples, channels), one per chunk of the codec.

        Raises:
            UserError: as :meth:`accompany`; what is wrong with audio or settings is said by the call itself.
        """
        voice, settings = recording_of(audio), settings or Settings()
        self.check(settings)
        self._opened()
        return self._stream(voice, settings, self.listen(voice, settings), progress)

    def listen(self, audio: AudioLike, settings: Settings | None = None) -> LeadSheet:
        """The song's lead sheet: what the bundle hears in the voice, on the terms of what the settings say.

        Correct it, and give it back as ``Settings(lead_sheet=...)``. A bundle without an estimator hears nothing, and
        the sheet has what the settings say alone.

        Args:
            audio: as for :meth:`accompany`.
            settings: what is known of the song; the rest of them plays no part.

        Raises:
            UserError: the audio is not in order, or what is said does not fit the song.
        """
        voice, given = recording_of(audio), (settings or Settings()).given
        if self._transcriber is not None:
            return self._transcriber.transcribe(voice, given)
        return sheet_from_given(given, voice.samples_count / voice.sample_rate_hz)

    def encode(self, audio: AudioLike, progress: OnProgress | None = None) -> np.ndarray:
        """Normalised latents of a voice, float32 (channels, frames), padded with silence to a length the model takes.

        Raises:
            UserError: the audio is not in order.
        """
        facts, recording = self.manifest.codec, recording_of(audio)
        gain = _encoder_gain(recording.level.laid_out(facts.channels))
        blocks = (gain * block for block in resampled(recording, facts.sample_rate_hz, facts.channels))
        frames = frames_of(self.manifest, recording)
        return self.codec.encode(blocks, frames, Reporter("encode", progress))

    def conditioned(self, vocals_latents: np.ndarray, sheet: np.ndarray | None = None) -> Network:
        """The denoiser for given vocals, ``step(x, t, guidance=1.0)``, for other samplers than ours.

        Args:
            vocals_latents: normalised, float32 (batch, channels, frames).
            sheet: the lead sheet by :func:`samuel_runtime.leadsheet.raster.rasterised`, float32 (batch, 34, frames),
                for models with one; None knows nothing.

        Raises:
            ValueError: if a shape is not one the model takes.
        """
        facts = self.manifest.model
        if vocals_latents.ndim != 3 or vocals_latents.shape[1] != facts.latent_channels:
            raise ValueError(f"vocals latents are (batch, {facts.latent_channels}, frames), not {vocals_latents.shape}")
        if vocals_latents.shape[2] % facts.frames_multiple or vocals_latents.shape[2] == 0:
            raise ValueError(f"{vocals_latents.shape[2]} frames are not a multiple of {facts.frames_multiple}")
        return self.denoiser.conditioned(vocals_latents, sheet)

    def generate(
        self,
        vocals: np.ndarray,
        settings: Settings,
        progress: OnProgress | None = None,
        sheet: LeadSheet | None = None,
    ) -> np.ndarray:
        """Sample the accompaniment's latents, window by window.

        Args:
            vocals: normalised latents, float32 (channels, frames).
            settings: sampler, steps, guidance and seed, and what is known of the song.
            progress: called after every denoising step.
            sheet: of :meth:`listen`; None is what the settings say.

        Returns:
            Normalised latents, float32 (channels, frames).

        Raises:
            UserError: the settings do not fit the bundle, or the model produced NaN.
        """
        self.check(settings)
        song, frame_s = np.empty_like(vocals), self.manifest.codec.hop_samples / self.manifest.codec.sample_rate_hz
        sheet = sheet or sheet_from_given(settings.given, vocals.shape[1] * frame_s)
        for _ in self._sampled(vocals, song, settings, sheet, progress):
            pass
        return song

    def decode(
        self, latents: np.ndarray, recording: Recording, progress: OnProgress | None = None
    ) -> Iterator[np.ndarray]:
        """Blocks of the accompaniment's waveform, float32 (samples, channels), of exactly the recording's duration.

        The latents are :func:`rescale_to_unit_std` first, and the sound has the bundle's ``side_gain_db`` and
        ``peak_ceiling``; what ``codec.decode`` is given stays as it is.
        """
        return self._decoded(rescale_to_unit_std(latents), recording, progress)

    def check(self, settings: Settings) -> None:
        """See whether settings fit the bundle.

        Raises:
            UserError: they do not; the message says what does.
        """
        check_fits(self.manifest, settings)

    def _stream(
        self, voice: Recording, settings: Settings, sheet: LeadSheet, progress: OnProgress | None
    ) -> Generator[np.ndarray, None, None]:
        vocals = self.encode(voice, progress)
        song, scaled = np.empty_like(vocals), np.empty_like(vocals)
        sampled = self._sampled(vocals, song, settings, sheet, progress)
        first = windows_of(self.manifest, vocals.shape[1])[0].frames
        final, scale = 0, np.float32(1)

        def wait_for(frames: int) -> None:
            nonlocal final, scale
            while final < frames:
                known = next(sampled)
                if final == 0:
                    scale = unit_std_scale(song[:, :first])
                scaled[:, final:known] = song[:, final:known] * scale
                final = known

        yield from self._decoded(scaled, voice, progress, wait_for)

    def _sampled(
        self, vocals: np.ndarray, song: np.ndarray, settings: Settings, sheet: LeadSheet, progress: OnProgress | None
    ) -> Iterator[int]:
        codec, raster = self.manifest.codec, None
        if self.manifest.model.sheet_channels:
            raster = rasterised(sheet, vocals.shape[1], codec.hop_samples / codec.sample_rate_hz)
        return sample_song(self.denoiser, self.manifest, vocals, raster, settings, song, progress)

    def _decoded(
        self, latents: np.ndarray, recording: Recording, progress: OnProgress | None, wait_for: Await | None = None
    ) -> Iterator[np.ndarray]:
        missing = resampled_count(recording, self.manifest.codec.sample_rate_hz)
        for block in self.codec.decode(latents, Reporter("decode", progress), wait_for):
            yield finished(block[:missing], self.manifest.model)
            missing -= min(missing, len(block))

    def _opened(self) -> tuple[Codec, DenoiserBackend]:
        if self._parts is None:
            raise ValueError("this Samuel is closed")
        return self._parts


def finished(samples: np.ndarray, model: ModelFacts) -> np.ndarray:
    """The sound of generated latents (samples, channels) as the model's bundle wants it: its width and its peaks."""
    return with_peaks_below(with_side_gain(samples, model.side_gain_db), model.peak_ceiling)


def check_fits(manifest: Manifest, settings: Settings) -> None:
    """:meth:`Samuel.check` where nothing is loaded.

    Raises:
        UserError: the settings do not fit the bundle; the message says what does.
    """
    check_steps(manifest.model.denoising_steps(settings.steps), manifest.model.timesteps)
    if settings.stated and not manifest.model.sheet_channels:
        stated = ", ".join(f"`{name}`" for name in settings.stated)
        raise UserError(f"{stated}: this bundle's model takes no lead sheet; leave them out, or use another `bundle`")


def _transcriber(bundle: Bundle, backend: Backend, threads: int | None) -> Transcriber | None:
    """Of a bundle with estimators whose model plays from what they hear."""
    if GraphName.ESTIMATOR not in bundle.manifest.graphs or not bundle.manifest.model.sheet_channels:
        return None
    if (missing := Transcriber.missing()) is not None:
        _LOG.warning("%s", missing)
        return None
    estimator = open_estimator(bundle, backend, threads)
    return Transcriber(estimator, open_chord_estimator(bundle, backend, threads), threads)


def frames_of(manifest: Manifest, recording: Recording) -> int:
    """Latent frames of a recording, padded to a length the model takes."""
    return frames_for(manifest, resampled_count(recording, manifest.codec.sample_rate_hz))


def _encoder_gain(level: Level) -> float:
    if level.silent:
        return 1.0
    return gain_from_db(float(np.clip(level.rms_db, *_VOICE_RMS_DB)) - level.rms_db)
