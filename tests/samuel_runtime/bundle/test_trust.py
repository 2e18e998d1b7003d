"""Whose engines may run: one's own, and those that one said may."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.bundle.trust import is_trusted, trust
from samuel_runtime.engines.availability import backends_of, chosen_backends, unavailable_reason
from samuel_runtime.engines.tensorrt import device
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Provider
from tests.support.runtime.commands import run_here, tree, write_voice
from tests.support.runtime.fakes.engines import VERSION, add_sham_engines, sham_engines

FLAG = "--trust-engines"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which sham engines fit, but for whose they are."""
    monkeypatch.setattr(device, "unavailable_reason", lambda flavor: "")
    monkeypatch.setattr(device, "version_of", lambda flavor: VERSION)
    monkeypatch.setattr(device, "gpu_here", lambda: SimpleNamespace(capability=(8, 9)))


def test_nothing_is_trusted_before_it_is_said(folder: Path) -> None:
    assert not is_trusted(sham_engines())
    assert not folder.exists()  # and asking leaves nothing


def test_what_is_trusted_stays_so_and_nothing_else_is(folder: Path) -> None:
    first, second = sham_engines("mine"), sham_engines("yours")
    trust(first)
    assert is_trusted(first) and not is_trusted(second)
    trust(second)
    trust(second)
    assert is_trusted(first) and is_trusted(second)
    assert list(tree(folder)) == ["samuel/trusted-engines.json"]
    known = json.loads((folder / "samuel" / "trusted-engines.json").read_text())
    assert sorted(known) == sorted({facts.sha256 for one in (first, second) for facts in one.files.values()})


@pytest.mark.parametrize("name", sorted(sham_engines().files))
def test_one_strange_engine_is_enough(name: GraphName) -> None:
    mine, strange = sham_engines("mine"), sham_engines("strange")
    trust(mine)
    assert not is_trusted(mine.model_copy(update={"files": {**mine.files, name: strange.files[name]}}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"3",
        b'{"a": 1}',
        b"[[], 3, null]",
        b"[" * 100_000,
        b'["' + b"a" * (2 << 20) + b'"]',
    ],
    ids=["empty", "cut", "no text", "null", "number", "object", "other types", "nested deeply", "huge"],
)
def test_a_damaged_list_trusts_nothing_and_can_be_written_anew(folder: Path, content: bytes) -> None:
    file = folder / "samuel" / "trusted-engines.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert not is_trusted(sham_engines())
    trust(sham_engines())
    assert is_trusted(sham_engines())


def test_a_list_that_cannot_be_written_is_said_in_one_line(folder: Path) -> None:
    folder.write_text("in the way")
    assert not is_trusted(sham_engines())
    with pytest.raises(UserError, match=r"trusted-engines\.json: the list of trusted engines cannot be written; make"):
        trust(sham_engines())


@pytest.mark.usefixtures("fitting")
def test_a_strangers_bundle_is_refused_with_the_flag_until_it_is_given(
    bundle_copy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = add_sham_engines(bundle_copy)
    (backend,) = [backend for backend in backends_of(manifest) if backend.provider is Provider.TENSORRT]
    assert FLAG in unavailable_reason(backend, manifest)
    command = [write_voice(tmp_path / "voice.wav"), "--bundle", bundle_copy, "--steps", "1", "--provider", "tensorrt"]
    run = run_here(capfd, *command)
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)
    assert run.err.startswith("error: --provider tensorrt: the engines, which are code") and FLAG in run.err
    # With the flag they get as far as the GPU, which this machine does not have; and that is remembered.
    for flag in ([FLAG], []):
        run = run_here(capfd, *command, *flag)
        assert run.code == 2
        assert "CUDA" in run.err and FLAG not in run.err
        assert unavailable_reason(backend, manifest) == ""
        assert chosen_backends(manifest, Provider.TENSORRT) == [backend]


@pytest.mark.usefixtures("fitting")
def test_trust_is_in_the_files_not_in_the_folder(bundle_copy: Path) -> None:
    """Who trusts a bundle trusts its copies, and nothing that takes its place."""
    trust(sham_engines("mine"))
    assert device.unfit_reason(add_sham_engines(bundle_copy, "mine").engines) == ""
    assert FLAG in device.unfit_reason(add_sham_engines(bundle_copy, "strange").engines)


def test_the_flag_on_a_bundle_without_engines_is_refused(
    bundle: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_here(capfd, write_voice(tmp_path / "voice.wav"), "--bundle", bundle, FLAG)
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)
    assert FLAG in run.err and "no TensorRT engines" in run.err
    assert not folder.exists()


@pytest.mark.usefixtures("fitting")
def test_without_the_flag_auto_runs_elsewhere(
    bundle_copy: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    add_sham_engines(bundle_copy)
    run = run_here(capfd, write_voice(tmp_path / "voice.wav"), "--bundle", bundle_copy, "--steps", "1")
    assert run.code == 0, run.err
    assert not (folder / "samuel" / "trusted-engines.json").exists()
