"""What a builder measured is kept for the next build; that it cannot be kept, or is damaged, is no failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from samuel_export.tensorrt import timing_cache
from samuel_export.tensorrt.timing_cache import TimingCache
from tests.support.runtime.commands import tree


class Cache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> memoryview:
        return memoryview(self.content)


class Config:
    """As much of a builder's configuration as keeps timings; it takes nothing that does not begin with "good"."""

    def __init__(self) -> None:
        self.taken: Cache | None = None

    def create_timing_cache(self, known: bytes) -> Cache | None:
        return Cache(known) if known[:4] in (b"", b"good") else None

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> None:
        assert not ignore_mismatch  # other GPUs' timings are wrong here
        self.taken = cache

    def get_timing_cache(self) -> Cache | None:
        return self.taken


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "samuel"


def attached(version: str = "10.13") -> Config:
    config = Config()
    TimingCache(version).attach(config)
    return config


def kept(content: bytes, version: str = "10.13") -> None:
    config = Config()
    config.taken = Cache(content)
    TimingCache(version).keep(config)


def content_of(config: Config) -> bytes:
    assert config.taken is not None
    return config.taken.content


def test_the_next_build_knows_what_the_last_one_measured(folder: Path) -> None:
    assert content_of(attached()) == b""
    kept(b"good, slow")
    kept(b"good, fast")
    assert content_of(attached()) == b"good, fast"
    assert len(tree(folder)) == 1


def test_other_libraries_measure_anew() -> None:
    kept(b"good")
    assert content_of(attached(version="10.14")) == b""


def test_a_damaged_file_is_as_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(b"bad")
    assert content_of(attached()) == b""
    kept(b"good")
    monkeypatch.setattr(timing_cache, "_LARGEST_BYTES", 3)
    assert content_of(attached()) == b""


def test_what_cannot_be_kept_is_no_failure(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("in the way")
    kept(b"good")
    assert content_of(attached()) == b""
    TimingCache("10.13").keep(Config())  # which has none


def test_the_true_library_takes_it(folder: Path) -> None:
    trt: Any = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")
    from samuel_runtime.engines.tensorrt.library import logger_of

    logger = logger_of(trt)
    builder = trt.Builder(logger)
    for content in (None, b"damaged"):
        cache, config = TimingCache(trt.__version__), builder.create_builder_config()
        if content is not None:
            (file,) = folder.iterdir()
            file.write_bytes(content)
        cache.attach(config)
        cache.keep(config)
    assert len(tree(folder)) <= 1
