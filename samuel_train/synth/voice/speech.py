"""espeak-ng's library: text to speech with the time of every phoneme.

A voice's noise depends on what the process has said before, so :func:`speak` asks a fresh process each time.
"""

from __future__ import annotations

import ctypes
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samuel_runtime.errors import UserError
from samuel_train.synth.tools import SPEECH_LIBRARY

# espeak-ng's speak_lib.h
_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
_EVENT_END_OF_LIST, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8, _BRACKETED_PHONEMES = 1, 0x100
_WORDS_PER_MINUTE = 105
_LONGEST_RUN_S = 60


class _Identifier(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("phoneme", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, eq=False)
class Utterance:
    """Spoken text."""

    samples: np.ndarray
    """(samples,) float64, -1 .. 1."""
    phonemes: tuple[tuple[float, str], ...]
    """(start in seconds, espeak-ng's mnemonic); pauses begin with ``_``."""


def speak(voice: str, texts: Sequence[str]) -> tuple[list[Utterance], int]:
    """Speak texts slowly and on one pitch: the utterances, and their sample rate.

    Raises:
        UserError: this espeak-ng lacks the voice, or cannot speak.
    """
    command = [sys.executable, "-m", "samuel_train.synth.voice.speech", voice]
    try:
        told = json.dumps(list(texts)).encode()
        result = subprocess.run(
            command, input=told, capture_output=True, timeout=_LONGEST_RUN_S, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"espeak-ng hangs in voice {voice!r}; run: apt-get install --reinstall espeak-ng") from error
    if result.returncode:
        last_line = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise UserError(
            f"espeak-ng cannot speak as {voice!r} ({last_line}); run: apt-get install --reinstall espeak-ng"
        )
    with np.load(io.BytesIO(result.stdout), allow_pickle=False) as stored:
        facts = json.loads(str(stored["facts"]))
        utterances = [
            Utterance(stored[f"samples_{index}"], tuple((float(start_s), name) for start_s, name in phonemes))
            for index, phonemes in enumerate(facts["phonemes"])
        ]
    return utterances, int(facts["rate_hz"])


def _speak_here(voice: str, texts: Sequence[str]) -> tuple[list[Utterance], int]:
    """As :func:`speak`, in this process."""
    library, rate_hz = _open()
    audio: list[bytes] = []
    phonemes: list[tuple[float, str]] = []

    def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if count > 0 and samples:
            audio.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != _EVENT_END_OF_LIST:
            if events[index].type == _EVENT_PHONEME:
                name = events[index].id.phoneme.decode("utf-8", "replace")
                phonemes.append((events[index].sample / rate_hz, name))
            index += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        sys.exit("it has no such voice")
    for parameter, value in ((_RATE, _WORDS_PER_MINUTE), (_PITCH, 55), (_RANGE, 0)):
        library.espeak_SetParameter(parameter, value, 0)
    utterances = []
    for text in texts:
        audio.clear()
        phonemes.clear()
        encoded = text.encode()
        library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, _UTF8 | _BRACKETED_PHONEMES, None, None)
        samples = np.frombuffer(b"".join(audio), dtype="<i2") / 32768
        utterances.append(Utterance(samples, tuple(phonemes)))
    return utterances, rate_hz


def _open() -> tuple[ctypes.CDLL, int]:
    """The library and its sample rate; to be called once, because espeak-ng 1.51 hangs when it is opened again."""
    library = ctypes.CDLL(SPEECH_LIBRARY)
    library.espeak_Synth.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
        *(ctypes.c_void_p, ctypes.c_void_p),
    ]
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
    if rate_hz <= 0:
        sys.exit("it finds no data")
    return library, rate_hz


if __name__ == "__main__":
    spoken, sample_rate_hz = _speak_here(sys.argv[1], json.load(sys.stdin))
    arrays: dict[str, Any] = {f"samples_{index}": utterance.samples for index, utterance in enumerate(spoken)}
    arrays["facts"] = np.array(
        json.dumps({"rate_hz": sample_rate_hz, "phonemes": [utterance.phonemes for utterance in spoken]})
    )
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    sys.stdout.buffer.write(packed.getvalue())
