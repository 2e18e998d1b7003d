"""Files here and elsewhere: read, written whole or not at all, and told in words where nothing opens them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed (extra `ray`)")

import fsspec

from samuel_runtime.errors import UserError
from samuel_runtime.locations import fetched, filesystem, joined, local_path, stored, stored_folder


@pytest.fixture
def url() -> str:
    fsspec.filesystem("memory").store.clear()
    return "memory://bands"


def test_paths_and_urls_are_told_apart(tmp_path: Path) -> None:
    assert local_path(tmp_path) == local_path(f"file://{tmp_path}") == tmp_path
    assert local_path("s3://bucket/x") is None
    assert joined("s3://bucket/x/", "a/b.wav") == "s3://bucket/x/a/b.wav"
    assert joined(str(tmp_path), "a/b.wav") == tmp_path / "a" / "b.wav"


def test_what_is_stored_can_be_fetched(tmp_path: Path, url: str) -> None:
    for folder in (tmp_path / "bands", url):
        place = joined(folder, "a/b.wav")
        with stored(place) as file:
            assert file.suffix == ".wav"
            file.write_bytes(b"band")
        with fetched(place) as file:
            assert file.read_bytes() == b"band"
        with pytest.raises(FileNotFoundError), fetched(joined(folder, "c.wav")) as file:
            file.read_bytes()


def test_what_fails_is_not_stored(tmp_path: Path, url: str) -> None:
    for folder in (tmp_path / "bands", url):
        with pytest.raises(KeyError), stored(joined(folder, "b.wav")) as file:
            file.write_bytes(b"half a ba")
            raise KeyError
        with pytest.raises(KeyError), stored_folder(url) as files:
            (files / "c.wav").write_bytes(b"band")
            raise KeyError
    assert not list((tmp_path / "bands").iterdir())
    assert not fsspec.filesystem("memory").find("/")


def test_a_folder_is_stored_with_all_in_it(tmp_path: Path, url: str) -> None:
    with stored_folder(url) as files:
        (files / "a.wav").write_bytes(b"a")
        (files / "b").mkdir()
        (files / "b" / "c.wav").write_bytes(b"c")
    assert fsspec.filesystem("memory").find("/bands") == ["/bands/a.wav", "/bands/b/c.wav"]
    with stored_folder(tmp_path) as files:
        assert files == tmp_path


def test_a_place_that_nothing_opens_is_told() -> None:
    with pytest.raises(UserError, match=r"^nowhere://x: nothing here opens it .*samuel-deploy\[ray\]"):
        filesystem("nowhere://x")
