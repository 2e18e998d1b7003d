"""What the MP3 decoder prints stays out of stderr, and all else that is printed meanwhile reaches it."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runtime.commands import write_voice

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not Path("/proc/self/fd").exists(), reason="file descriptors are looked at as on Linux"
)


def damaged_mp3(path: Path) -> Path:
    """Frames whose inside is noise: the decoder complains while it opens the file, and while it reads."""
    mp3, noise = bytearray(write_voice(path).read_bytes()), random.Random(1)
    for start in range(2000, len(mp3) - 1000, 900):
        mp3[start : start + 300] = noise.randbytes(300)
    path.write_bytes(mp3 + mp3)
    return path


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


_DECODE = "import sys, soundfile; soundfile.read(sys.argv[1])"
_READ = """
import sys
from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.errors import UserError
try:
    list(AudioFile.open(sys.argv[1]).blocks())
except UserError as error:
    print(error)
"""


def test_the_decoders_chatter_reached_stderr(tmp_path: Path) -> None:
    path = damaged_mp3(tmp_path / "voice.mp3")
    assert run(_DECODE, path).stderr  # the decoder alone is heard
    done = run(_READ, path)
    assert done.returncode == 0
    assert done.stderr == ""


_CLOSED = """
import os, sys
from samuel_runtime.audio.reading import AudioFile
os.close(0)
os.close(2)
print(AudioFile.open(sys.argv[1]).samples_count)
"""


@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
def test_with_stderr_closed_no_file_could_be_read_as_audio(tmp_path: Path, suffix: str) -> None:
    done = run(_CLOSED, write_voice(tmp_path / f"voice{suffix}"))
    assert (done.returncode, done.stdout) == (0, "44100\n")


_THREADS = """
import os, sys
from threading import Barrier, Thread
from samuel_runtime.audio.quiet import without_decoder_chatter
before = os.fstat(2).st_ino
steps = Barrier(2)
def first():
    with without_decoder_chatter():
        steps.wait()  # the second enters
        steps.wait()
def second():
    steps.wait()
    with without_decoder_chatter():
        steps.wait()  # the first leaves before the second
        thread.join()
        print("said meanwhile", file=sys.stderr)
thread, other = Thread(target=first), Thread(target=second)
thread.start(); other.start(); other.join()
assert os.fstat(2).st_ino == before
import ctypes
libc = ctypes.CDLL(None)
libc.fputs(b"said in C\\n", ctypes.c_void_p.in_dll(libc, "stderr"))
"""


def test_two_readers_at_once_lost_stderr_for_good() -> None:
    done = run(_THREADS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "said meanwhile\nsaid in C\n"
