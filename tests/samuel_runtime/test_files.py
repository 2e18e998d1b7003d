from __future__ import annotations

from pathlib import Path

import pytest

from samuel_runtime.errors import UserError
from samuel_runtime.files import is_folder, replacing, replacing_dir
from tests.support.runtime.commands import tree


def test_a_file_is_replaced_when_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "band.wav"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".wav"
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
