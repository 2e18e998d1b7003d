"""The sounds of a speaker: words of espeak-ng, analysed once by WORLD and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from platformdirs import user_cache_path

from samuel_runtime.files import replacing
from samuel_train.synth.voice.envelopes import APERIODICITY_HZ, ENVELOPE_HZ
from samuel_train.synth.voice.lyrics import VOCABLES, WORDS
from samuel_train.synth.voice.speakers import Speaker
from samuel_train.synth.voice.speech import speak
from samuel_train.synth.voice.syllables import Syllable, split

FRAME_S = 0.005
_BANK_VERSION = 1
_FLOOR = 1e-16


@dataclass(frozen=True, eq=False)
class PhoneBank:
    """A speaker's frames, one every ``FRAME_S``, and where in them the syllables are."""

    envelopes: np.ndarray
    """(frames, len(ENVELOPE_HZ)) float32, natural logarithm of the power."""
    aperiodicity: np.ndarray
    """(frames, len(APERIODICITY_HZ)) float32, 0 .. 1."""
    voiced: np.ndarray
    """(frames,) bool."""
    words: tuple[tuple[Syllable, ...], ...]
    """In seconds of the frames; vocables after words."""
    spoken: int
    """How many of ``words`` are words."""


def load_bank(speaker: Speaker) -> PhoneBank:
    """A speaker's sounds, from the cache if this version of everything has made them before.

    Raises:
        UserError: espeak-ng lacks the voice, or the cache cannot be written.
    """
    path = _path(speaker)
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile):
        pass  # not there yet, or not whole: made again
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        _write(temporary, _analyse(speaker))
    return _read(path)


def _path(speaker: Speaker) -> Path:
    from samuel_train.synth.tools import speech_version

    content = [_BANK_VERSION, speaker.voice, _texts(speaker), speech_version(), version("pyworld"), version("numpy")]
    digest = hashlib.sha256(json.dumps([*content, ENVELOPE_HZ.tolist()]).encode()).hexdigest()[:16]
    return user_cache_path("samuel") / "speech" / f"{speaker.voice}-{digest}.npz"


def _texts(speaker: Speaker) -> list[str]:
    return [*WORDS[speaker.language], *VOCABLES]


def _analyse(speaker: Speaker) -> PhoneBank:
    utterances, rate_hz = speak(speaker.voice, _texts(speaker))
    envelopes, aperiodicity, voiced, words = [], [], [], []
    spoken, frames = 0, 0
    for order, utterance in enumerate(utterances):
        syllables = split(utterance.phonemes, len(utterance.samples) / rate_hz)
        if not syllables:
            continue
        spectra, noise, f0_hz = _world(utterance.samples, rate_hz)
        shift_s = frames * FRAME_S
        words.append(tuple(_moved(syllable, shift_s) for syllable in syllables))
        spoken += order < len(WORDS[speaker.language])
        at = np.linspace(0, rate_hz / 2, spectra.shape[1])
        logarithms = np.log(np.maximum(spectra, _FLOOR))
        envelopes.append(np.stack([np.interp(ENVELOPE_HZ, at, frame) for frame in logarithms]))
        aperiodicity.append(np.stack([np.interp(APERIODICITY_HZ, at, frame) for frame in noise]))
        voiced.append(f0_hz > 0)
        frames += len(f0_hz)
    return PhoneBank(
        np.concatenate(envelopes), np.concatenate(aperiodicity), np.concatenate(voiced), tuple(words), spoken
    )


def _moved(syllable: Syllable, by_s: float) -> Syllable:
    return Syllable(
        syllable.onset_s + by_s, syllable.vowel_s + by_s, syllable.coda_s + by_s, syllable.end_s + by_s, syllable.hummed
    )


def _world(samples: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectral envelopes (frames, bins), aperiodicity (frames, bins) and F0 in Hz (frames,)."""
    pyworld = import_pyworld()
    rough_hz, times_s = pyworld.dio(samples, rate_hz, frame_period=1000 * FRAME_S)
    f0_hz = pyworld.stonemask(samples, rough_hz, times_s, rate_hz)
    spectra = pyworld.cheaptrick(samples, f0_hz, times_s, rate_hz)
    return spectra, pyworld.d4c(samples, f0_hz, times_s, rate_hz), f0_hz


def import_pyworld() -> Any:
    """WORLD in Python; it imports pkg_resources, which warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyworld
    return pyworld


def _write(path: Path, bank: PhoneBank) -> None:
    words = json.dumps([[asdict(syllable) for syllable in word] for word in bank.words])
    np.savez(
        path,
        envelopes=bank.envelopes.astype(np.float16),
        aperiodicity=bank.aperiodicity.astype(np.float16),
        voiced=bank.voiced,
        words=np.array(words),
        spoken=np.array(bank.spoken),
    )


def _read(path: Path) -> PhoneBank:
    with np.load(path, allow_pickle=False) as stored:
        words = tuple(tuple(Syllable(**syllable) for syllable in word) for word in json.loads(str(stored["words"])))
        return PhoneBank(
            stored["envelopes"].astype(np.float32),
            stored["aperiodicity"].astype(np.float32),
            stored["voiced"],
            words,
            int(stored["spoken"]),
        )
