from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from samuel_runtime.errors import UserError
from samuel_runtime.files import (
    cache_file,
    data_file,
    explained,
    is_folder,
    readable_dir,
    recover_dir,
    replacing,
    replacing_dir,
    scratch_folder,
)
from tests.support.runtime.commands import tree


def test_a_file_is_replaced_when_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "band.wav"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.suffix == ".wav"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert tree(tmp_path) == {"band.wav": b"new"}


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with replacing(tmp_path / "new") as temporary:
        temporary.touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, SystemExit])
def test_after_a_failure_all_is_as_it_was(tmp_path: Path, failure: type[BaseException]) -> None:
    (tmp_path / "band.wav").write_text("old")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "a").write_text("old")
    before = tree(tmp_path)
    with pytest.raises(failure), replacing(tmp_path / "band.wav") as temporary:
        temporary.write_text("half")
        raise failure
    with pytest.raises(failure), replacing_dir(tmp_path / "bundle") as folder:
        (folder / "a").write_text("half")
        raise failure
    assert tree(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"band.wav", "bundle"}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bundle"
    for content in ("first", "second"):
        with replacing_dir(path) as folder:
            (folder / content).write_text(content)
    assert tree(tmp_path) == {"deep/bundle/second": b"second"}
    assert {one.name for one in path.parent.iterdir()} == {"bundle"}


KILLED_AT = """
import os, sys
from pathlib import Path
from samuel_runtime.files import explained, is_folder, recover_dir, replacing, replacing_dir

left = int(sys.argv[2])


def die(event, arguments):
    global left
    if event == "open" or event.startswith(("os.", "shutil.", "tempfile.")):
        left -= 1
        if left < 0:
            os._exit(9)


with replacing_dir(Path(sys.argv[1])) as folder:
    for name in "ab":
        (folder / name).write_text("new")
    sys.addaudithook(die)
"""
"""Replaces a folder, and dies as a killed process does before the n-th call of the file system after writing."""


def test_a_kill_while_a_folder_is_replaced_left_none(tmp_path: Path) -> None:
    """Killed before each call in turn: after the next call's recovery one of the two folders is there, whole."""
    whole = {text: {name: text.encode() for name in "ab"} for text in ("old", "new")}
    outcomes, code = [], None
    while code != 0:
        path = tmp_path / str(len(outcomes)) / "bundle"
        path.mkdir(parents=True)
        for name in "ab":
            (path / name).write_text("old")
        command = [sys.executable, "-c", KILLED_AT, str(path), str(len(outcomes))]
        code = subprocess.run(command, check=False).returncode
        assert code in (0, 9)
        recover_dir(path)
        outcomes.append("new" if tree(path) == whole["new"] else "old")
        assert tree(path) == whole[outcomes[-1]]
        with replacing_dir(path) as folder:
            (folder / "c").write_text("next")
        assert tree(path) == {"c": b"next"}
        assert not (path.parent / ".bundle-old").exists()
    assert outcomes == sorted(outcomes, reverse=True) and set(outcomes) == {"old", "new"}


def _moved_aside(path: Path) -> Path:
    """As a replacement leaves the old folder between its two renames; returns where it is."""
    retired = path.with_name(f".{path.name}-old")
    retired.mkdir()
    (retired / "a").write_text("old")
    return retired


def test_a_folder_that_a_killed_replacement_moved_aside_is_moved_back_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "bundle")
    for name in ("bundle", "link"):
        _moved_aside(tmp_path / "bundle")
        assert readable_dir(tmp_path / name) == tmp_path / name
        assert tree(tmp_path / "bundle") == {"a": b"old"}
        assert {one.name for one in tmp_path.iterdir()} == {"bundle", "link"}
        shutil.rmtree(tmp_path / "bundle")


def test_where_nothing_can_be_moved_it_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retired = _moved_aside(tmp_path / "bundle")

    def refused(self: Path, target: Path) -> Path:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "rename", refused)
    assert readable_dir(tmp_path / "bundle") == retired


def test_a_reader_does_not_spoil_a_replacement_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's second rename comes while the reader waits; the old folder is then the writer's to remove."""
    retired, path = _moved_aside(tmp_path / "bundle"), tmp_path / "bundle"
    monkeypatch.setattr("time.sleep", lambda seconds: path.mkdir())
    assert readable_dir(path) == path and not retired.exists()


@pytest.mark.parametrize("name", ["nowhere", "x" * 300, "nul\0", "circle"])
def test_a_folder_that_is_not_there_is_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert readable_dir(tmp_path / name) == tmp_path / name


@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupt_between_the_two_renames_left_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path, calls, rename = tmp_path / "bundle", [], Path.rename
    path.mkdir()
    (path / "a").write_text("old")

    def interrupted(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == at:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing_dir(path) as folder:
        (folder / "a").write_text("new")
    assert tree(tmp_path) == {"bundle/a": b"old"}


def test_a_link_to_a_folder_was_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "disk" / "bundle").mkdir(parents=True)
    (tmp_path / "bundle").symlink_to(tmp_path / "disk" / "bundle")
    with replacing_dir(tmp_path / "bundle") as folder:
        (folder / "a").write_text("new")
    assert (tmp_path / "bundle").is_symlink()
    assert tree(tmp_path / "disk") == {"bundle/a": b"new"}
    assert {one.name for one in tmp_path.iterdir()} == {"bundle", "disk"}


def test_a_file_that_a_defect_looks_for_was_called_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    defects = (FileNotFoundError(2, "No such file", str(tmp_path / "lost.bin")), BrokenPipeError(32, "Broken pipe"))
    for defect in defects:
        for context in (replacing(tmp_path / "a.wav"), replacing_dir(tmp_path / "bundle"), explained(tmp_path / "a")):
            with pytest.raises(type(defect)), context:
                raise defect
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_that_numpy_reports_without_a_number_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1000 requested and 0 written"), replacing(tmp_path / "a.npy"):
        raise OSError("1000 requested and 0 written")


def test_a_file_in_the_place_of_a_folder_is_explained_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_text("a file")
    with (
        pytest.raises(UserError, match="Not a directory"),
        replacing_dir(tmp_path / "bundle"),
    ):
        raise AssertionError("work began")
    assert tree(tmp_path) == {"bundle": b"a file"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"), replacing_dir(tmp_path / "deep" / "bundle"):
        pass


def test_what_the_file_system_refuses_is_explained(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"nowhere/band\.wav: cannot be written"),
        replacing(tmp_path / "nowhere/band.wav"),
    ):
        pass
    with pytest.raises(UserError, match="No space left"), replacing(tmp_path / "band.wav"):
        raise OSError(28, "No space left on device")


def test_a_name_that_the_file_system_refuses_is_no_folder(tmp_path: Path) -> None:
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "nowhere")
    assert not is_folder(tmp_path / ("x" * 300))


def test_a_link_keeps_pointing_to_what_was_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "band.wav", tmp_path / "link.wav"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["band.wav", "link.wav", "there"]


def test_an_old_file_hands_on_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "band.wav"
    path.write_text("old")
    path.chmod(0o640)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("length", [246, 248, 255])
def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path: Path, length: int) -> None:
    """The temporary name once was longer."""
    path = tmp_path / ("b" * (length - 4) + ".wav")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


_KILLED = """
import sys, time
from pathlib import Path
from samuel_runtime.files import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "band.f32").write_bytes(bytes(1000))
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _KILLED, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    try:
        with scratch_folder(tmp_path):
            assert (left / "band.f32").is_file()  # its process lives
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (left / "band.f32").is_file()
    with scratch_folder(tmp_path):
        assert not left.exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_what_may_be_anothers_is_never_removed(tmp_path: Path) -> None:
    """Without a lock file, of another machine, of another name, a link."""
    for name in (".samuel-aaaaaaaa", ".samuel-bbbbbbbb", ".samuel-of-mine", ".samuel-cccccccc-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "work").touch()
    (tmp_path / ".samuel-bbbbbbbb" / "lock").write_text("another machine")
    (tmp_path / ".samuel-of-mine" / "lock").write_text(os.uname().nodename)
    (tmp_path / ".samuel-dddddddd").symlink_to(tmp_path / ".samuel-of-mine")
    before = tree(tmp_path)
    with scratch_folder(tmp_path):
        pass
    assert tree(tmp_path) == before


def test_without_a_home_no_folder_called_tilde_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"~/.cache/{name}")
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: f"~/.local/share/{name}")
    for file in (cache_file, data_file):
        with pytest.raises(OSError, match="set HOME"):
            file("backends.json")
