"""Every command of the README runs as it stands there, in its order, in one folder; long ones with smaller numbers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LINES_MOST = 130
# What installs or clones, and the targets of make, are run by .ci/run and by whoever calls make.
ELSEWHERE = ("git clone", "pip install", "make ")
SMALLER = {
    "--songs 100": "--songs 3 --duration-s 12",
    "--songs 24": "--songs 2 --duration-s 12",
    "--minutes 30": "--steps 4 --batch 2",
    "--max-minutes 60": "--config small.toml",
    "samuel-train evaluate bundle heldout": "samuel-train evaluate bundle heldout --steps 2",
    "--variations 4": "--variations 2 --bundle small",
    "--target-s 5": "--target-s 2 --bundle small",
    "--mix song.mp3": "--mix song.mp3 --bundle small",
}
SLOW = "--doctor"
"""A musician's command that takes as long as all others; its own tests call it on a small bundle."""
SMALL = "[fit]\nmax_steps = 2\nbatch = 2\nvalidation_examples = 2\nframes_min = 128\nframes_max = 128\n"


def section(title: str) -> str:
    (part,) = [part for part in re.split(r"^##+ ", README, flags=re.MULTILINE) if part.startswith(title)]
    return part


def commands(text: str) -> Iterator[str]:
    for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            command = line.partition(" #")[0].strip()
            if command and not command.startswith(ELSEWHERE):
                yield command


def run(command: str, folder: Path) -> None:
    for full, small in SMALLER.items():
        command = command.replace(full, small)
    # The console scripts stand beside this interpreter; nothing is measured before or remembered after.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
    ran = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"


def with_a_voice(folder: Path) -> Path:
    import soundfile

    samples, rate_hz = soundfile.read(ROOT / "samuel_runtime" / "assets" / "example_voice.flac")
    soundfile.write(folder / "vocals.wav", samples[: 4 * rate_hz], rate_hz)
    return folder


def test_it_is_a_front_page() -> None:
    assert len(README.splitlines()) <= LINES_MOST
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_it_names_targets_of_make_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", README)) - {"and"}
    assert named and named <= targets


def test_the_commands_and_the_program_of_a_musician_run(tmp_path: Path, bundle: Path) -> None:
    text = section("A musician")
    found = list(commands(text))
    assert len(found) >= 5
    with_a_voice(tmp_path)
    (tmp_path / "small").symlink_to(bundle)
    for command in found:
        if SLOW not in command:
            run(command, tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    run(f"{sys.executable} program.py", tmp_path)
    made = ("vocals.accompaniment.wav", "band.flac", "song.mp3", "quick.wav", "band.wav")
    assert all((tmp_path / name).stat().st_size > 1000 for name in made)
    assert len(list((tmp_path / "bands").glob("*.wav"))) == 2


@pytest.mark.slow
def test_the_slow_command_of_a_musician_runs(tmp_path: Path) -> None:
    (command,) = [command for command in commands(section("A musician")) if SLOW in command]
    run(command, tmp_path)


@pytest.mark.slow
def test_the_commands_of_a_researcher_and_an_engineer_run(tmp_path: Path) -> None:
    if shutil.which("fluidsynth") is None:
        pytest.skip("rendering songs needs fluidsynth")
    found = [*commands(section("A researcher")), *commands(section("An engineer"))]
    assert len(found) >= 11
    with_a_voice(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    for command in found:
        run(command, tmp_path)
    assert (tmp_path / "evaluation.json").stat().st_size > 1000
