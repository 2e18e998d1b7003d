"""A run reports to nobody: no file in the user's folders but samuel's own, no socket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runtime.commands import write_voice

_WITHOUT_SOCKETS = """
import os, sys
def watch(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(f"a socket: {event} {arguments}")
sys.addaudithook(watch)
from samuel_runtime.cli import main
try:
    main()
finally:
    links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    opened = [os.readlink(link) for link in links if os.path.lexists(link)]
    assert not [one for one in opened if one.startswith("socket:") or "onnxruntime.db" in one], opened
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("options", [("--provider", "openvino"), ()], ids=["openvino", "auto"])  # which takes the cpu
def test_a_run_leaves_home_as_it_was_and_opens_no_socket(
    options: tuple[str, ...], bundle: Path, tmp_path: Path
) -> None:
    """ONNX Runtime wrote a device id and a data base of events, OpenVINO a client id; both looked names up."""
    if "openvino" in options:
        pytest.importorskip("openvino", reason="OpenVINO is not installed (extra `openvino`)")
    (home := tmp_path / "home").mkdir()
    voice = write_voice(tmp_path / "voice.wav", 0.3)
    # As a user has it: without what switches telemetry off under continuous integration and tests.
    quiet = ("XDG_", "ORT_", "CI", "GITHUB_", "TF_BUILD", "JENKINS", "PYTEST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(quiet)}
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SOCKETS, voice, "--bundle", bundle, "--steps", "1", *options],
        capture_output=True, text=True, timeout=120, check=False, env={**environment, "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left = {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()}
    assert {Path(name).parent.as_posix() for name in left} <= {".cache/samuel"}, left  # what --provider auto goes by


def test_openvino_of_another_keeps_its_telemetry_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program around samuel may use it: only our import goes without."""
    from types import ModuleType

    from samuel_runtime.engines import offline

    theirs = ModuleType("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", theirs)
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    seen: list[object] = []

    def load(name: str) -> ModuleType:
        seen.append(sys.modules["openvino_telemetry"])
        return ModuleType(name)

    monkeypatch.setattr(offline.importlib, "import_module", load)
    offline.import_openvino()
    assert seen == [None] and sys.modules["openvino_telemetry"] is theirs


_NOBODY = """
import pwd
def unknown(number):
    raise KeyError(number)
pwd.getpwuid = unknown
from samuel_runtime.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="users are listed otherwise")
@pytest.mark.parametrize("options", [(), ("--provider", "openvino")], ids=["auto", "openvino"])
def test_a_user_without_an_entry_and_without_a_home_is_served(
    options: tuple[str, ...], bundle: Path, tmp_path: Path
) -> None:
    """As containers are run: OpenVINO's telemetry looked for a home, and samuel made a folder called "~"."""
    if options:
        pytest.importorskip("openvino", reason="OpenVINO is not installed (extra `openvino`)")
    voice = write_voice(tmp_path / "voice.wav", 0.3)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOME", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-c", _NOBODY, voice, "--bundle", bundle, "--steps", "1", *options],
        capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["voice.accompaniment.wav", "voice.wav"]
