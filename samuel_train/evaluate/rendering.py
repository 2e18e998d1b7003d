"""From recordings to latents and back, as every part of an evaluation needs it."""

from __future__ import annotations

import numpy as np

from samuel_runtime.audio.samples import Audio
from samuel_runtime.diffusion.spread import rescale_to_unit_std
from samuel_runtime.errors import UserError, unhandled
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.pipeline import Samuel, finished
from samuel_train.data.annotations import lead_sheet
from samuel_train.evaluate.cases import SheetSource
from samuel_train.synth.facts import SongFacts


def encode_voice(samuel: Samuel, voice: np.ndarray) -> np.ndarray:
    """Normalised latents (channels, frames) of a voice (samples, channels) at the codec's rate, as a user's is."""
    return samuel.encode(Audio(voice, samuel.manifest.codec.sample_rate_hz))


def encode_band(samuel: Samuel, band: np.ndarray) -> np.ndarray:
    """Latents (channels, frames) of a band (samples, channels), normalised as a generated band's are."""
    frames = -(-len(band) // samuel.manifest.codec.hop_samples)
    return as_band(samuel, samuel.codec.encode(iter([band]), frames))  # encoded as if it were a voice


def as_band(samuel: Samuel, vocals: np.ndarray) -> np.ndarray:
    """A voice's normalised latents (channels, frames), normalised as a generated band's are."""
    statistics = samuel.manifest.statistics
    latents = vocals * statistics.vocals_std[:, None] + statistics.vocals_mean[:, None]
    return np.asarray(statistics.normalise_accompaniment(latents))


def sheet_for(samuel: Samuel, source: SheetSource, voice: np.ndarray, facts: SongFacts | None, name: str) -> LeadSheet:
    """The lead sheet that a band plays from.

    Args:
        samuel: the loaded bundle.
        source: where it comes from.
        voice: (samples, channels) at the codec's rate.
        facts: of the song; None if nobody wrote them down.
        name: of the song, for messages.

    Raises:
        UserError: it is to be given and nobody wrote it down.
    """
    duration_s = len(voice) / samuel.manifest.codec.sample_rate_hz
    if source is SheetSource.NONE:
        return LeadSheet(duration_s)
    if source is SheetSource.ESTIMATED:
        return samuel.listen(Audio(voice, samuel.manifest.codec.sample_rate_hz))
    if source is SheetSource.GIVEN:
        if facts is None:
            raise UserError(f"{name}: has no song.json, so no lead sheet is given; leave `given` out of --sheets")
        return lead_sheet(facts, duration_s)
    raise unhandled(source)


def render(samuel: Samuel, latents: np.ndarray, samples: int) -> np.ndarray:
    """The waveform (samples, channels) of a band's normalised latents (channels, frames), as the codec has it."""
    return np.concatenate(list(samuel.codec.decode(latents)))[:samples]


def render_generated(samuel: Samuel, latents: np.ndarray, samples: int) -> np.ndarray:
    """The same of latents that were generated: what :meth:`Samuel.decode` makes of them for a user."""
    return finished(render(samuel, rescale_to_unit_std(latents), samples), samuel.manifest.model)
