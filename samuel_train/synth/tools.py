"""What songs are rendered with beside this package: asked for once, in one clear line."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import shutil
from pathlib import Path

from samuel_runtime.errors import UserError

SOUND_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
"""Fluid (R3), General MIDI, by Frank Wen: MIT licence; where Debian and Ubuntu put it."""
SPEECH_LIBRARY = "libespeak-ng.so.1"
_APT = {"fluidsynth": "fluidsynth", "sound font": "fluid-soundfont-gm", "espeak-ng": "espeak-ng"}


def missing() -> tuple[list[str], list[str]]:
    """The apt packages and the Python packages that are needed and not there."""
    apt = []
    if shutil.which("fluidsynth") is None:
        apt.append(_APT["fluidsynth"])
    if not SOUND_FONT.is_file():
        apt.append(_APT["sound font"])
    try:
        ctypes.CDLL(SPEECH_LIBRARY)
    except OSError:
        apt.append(_APT["espeak-ng"])
    python = [name for name in ("mido", "pyworld") if importlib.util.find_spec(name) is None]
    return apt, python


def require() -> None:
    """Make sure that songs can be rendered here.

    Raises:
        UserError: something is missing, with the commands that install it.
    """
    apt, python = missing()
    commands = []
    if apt:
        commands.append(f"apt-get install {' '.join(apt)}")
    if python:
        commands.append("pip install 'samuel-deploy[synth]'")
    if commands:
        raise UserError(f"songs need {', '.join([*apt, *python])}; run: {' && '.join(commands)}")


def speech_version() -> str:
    """espeak-ng's own words for its version."""
    library = ctypes.CDLL(SPEECH_LIBRARY)
    library.espeak_Info.restype = ctypes.c_char_p
    return (library.espeak_Info(None) or b"").decode()
