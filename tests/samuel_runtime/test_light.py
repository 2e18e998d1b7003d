"""The runtime stays light: no training stack, quick to answer, small to install."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.runtime.commands import run_apart, write_voice

ROOT = Path(__file__).parents[2]

_WITHOUT_TRAINING = """
import sys
FORBIDDEN = {"torch", "onnx", "diffusers", "accelerate", "safetensors", "samuel_train", "samuel_export", "matplotlib"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise AssertionError(f"the runtime imports {name}")
sys.meta_path.insert(0, Refuse())
"""
_NOTHING_LOADED = "assert not FORBIDDEN & set(sys.modules), FORBIDDEN & set(sys.modules)\n"
_ACCOMPANY = f"""
from samuel_runtime import Audio, Samuel, Settings
{_NOTHING_LOADED}
Samuel.load(sys.argv[3], threads=1).accompany(Audio.read(sys.argv[1]), Settings(steps=1))
{_NOTHING_LOADED}
"""
_RUN = f"""
from samuel_runtime.cli import main
try:
    main()
finally:
    {_NOTHING_LOADED}
"""


def test_the_import_hook_works() -> None:
    run = run_apart(script=_WITHOUT_TRAINING + "import torch")
    assert run.code == 1 and "the runtime imports torch" in run.err


def test_neither_the_library_nor_a_whole_run_ever_loads_the_training_stack(bundle: Path, tmp_path: Path) -> None:
    voice = write_voice(tmp_path / "voice.wav", 0.3)
    script = _WITHOUT_TRAINING + _ACCOMPANY + _RUN
    run = run_apart(voice, "--bundle", bundle, "--steps", "1", "--mix", tmp_path / "mix.flac", script=script)
    assert (run.code, run.err) == (0, "")


def test_importing_prints_nothing_and_loads_no_engine() -> None:
    script = (
        "import sys, samuel_runtime, samuel_runtime.cli; print('numpy' in sys.modules, 'onnxruntime' in sys.modules)"
    )
    run = run_apart(script=script)
    assert (run.out, run.err) == ("False False\n", "")


def test_settings_and_enums_are_there_without_numpy() -> None:
    names = "Settings(sampler='ddim'), Sampler, Provider, Precision, Progress, UserError, __version__"
    imported = names.replace("(sampler='ddim')", "")
    script = f"import sys; from samuel_runtime import {imported}; {names}; print('numpy' in sys.modules)"
    run = run_apart(script=script)
    assert (run.out, run.err) == ("False\n", "")


def test_help_answers_at_once() -> None:
    """In seconds of the processor: what else runs here is no fault."""
    resource = pytest.importorskip("resource", reason="Windows does not tell what a process took")

    def taken_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return float(usage.ru_utime + usage.ru_stime)

    command = Path(sys.executable).with_name("samuel-run")
    seconds = []
    for _ in range(5):
        before_s = taken_s()
        subprocess.run([command, "--help"], check=True, capture_output=True)
        seconds.append(taken_s() - before_s)
    print(f"samuel-run --help: {statistics.median(seconds):.3f} s (median of 5)")
    assert statistics.median(seconds) < 0.3


@pytest.mark.slow
def test_an_installation_is_small_and_has_no_torch(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", f"{_source(tmp_path / 'source')}[cpu]"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, cwd=tmp_path)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    installed = {path.name: _size(path) for path in site.iterdir()}
    ours = {name: size for name, size in installed.items() if not name.startswith(("pip", "setuptools", "_distutils"))}
    assert "samuel_runtime" in ours and "torch" not in ours
    print(f"site-packages: {sum(ours.values()) / 1e6:.0f} MB")
    assert sum(ours.values()) < 250e6
    shown = subprocess.run([python.with_name("samuel-run"), "--help"], check=True, capture_output=True, text=True)
    assert "Usage: samuel-run" in shown.stdout


def _source(folder: Path) -> Path:
    """A copy of what a distribution is made of: building leaves files behind."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(path, folder)
        elif path.is_dir() and path.name.startswith("samuel_") and path.suffix != ".egg-info":
            shutil.copytree(path, folder / path.name)
    return folder


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
