"""A bundle has all four engines, proven, or stays as it was; and verifying it sees every kind of mismatch."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from samuel_export import cli
from samuel_export.parity import check
from samuel_export.tensorrt import add_engines as adding
from samuel_export.tensorrt import parity as engine_proof
from samuel_export.tensorrt.builder import Built
from samuel_export.tensorrt.profiles import profiles_of
from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE, Bundle
from samuel_runtime.bundle.manifest import ENGINE_GRAPHS, SCHEMA_VERSION, GraphName, Manifest
from samuel_runtime.bundle.trust import is_trusted
from samuel_runtime.cli import console
from samuel_runtime.engines.tensorrt import library as tensorrt_library
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Flavor, Precision, Provider
from tests.support.export.sabotage import edit_manifest, nudge, tamper
from tests.support.runtime.commands import tree

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")

ENGINES = sorted(f"{name.value}.engine" for name in ENGINE_GRAPHS)


@dataclass(frozen=True)
class Ended:
    """A command's end."""

    code: int
    out: str
    err: str


def command(*arguments: object) -> Ended:
    """`samuel-export` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["samuel-export", *map(str, arguments)])
        runner, code = CliRunner(), 0
        with runner.isolation() as (out, err, *_):
            try:
                console.run(cli.command)
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Ended(code, out.getvalue().decode(), err.getvalue().decode())


@pytest.fixture(scope="module", params=["miniature", pytest.param("packaged", marks=pytest.mark.slow)])
def original(request: pytest.FixtureRequest, bundle: Path) -> Path:
    return bundle if request.param == "miniature" else PACKAGED_BUNDLE


@pytest.fixture(scope="module")
def true(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with engines, by the true builder; read it only."""
    folder = Path(shutil.copytree(original, tmp_path_factory.mktemp("true") / "bundle"))
    start = process_time()
    with pytest.MonkeyPatch.context() as patch:
        if original != PACKAGED_BUNDLE:  # each profile takes as long again
            patch.setattr(adding, "profiles_of", lambda *given: profiles_of(*given)[:1])
        ended = command(folder, "--trt")
    took_s = process_time() - start
    print(f"{ended.err}in all {took_s:.1f} s")
    assert (ended.code, ended.out) == (0, f"{folder}\n"), ended.err
    assert [line.split(":")[0] for line in ended.err.splitlines()[-4:]] == [
        f"built {name}.engine" for name in ("encoder", "conditioning", "step", "decoder")
    ]
    assert took_s < 120  # of processors: what else runs here is no fault
    return folder


def test_a_bundle_gets_all_four_engines(true: Path, original: Path) -> None:
    manifest = Bundle.open(true).manifest
    engines = manifest.engines
    assert engines is not None and manifest.schema_version == SCHEMA_VERSION
    assert (engines.flavor, engines.precision, engines.targets, engines.built_on) == (
        Flavor.RTX,
        Precision.FP16,
        (),
        "",
    )
    assert engines.version == tensorrt_library.version_of(Flavor.RTX)
    for name, facts in engines.files.items():
        content = Bundle.open(true).read_engine(facts)
        assert len(content) > 10_000
        print(f"{name.value}: {facts.build_s:.1f} s, {len(content) / 1e6:.1f} MB")
    assert manifest.parity["engines"]["passed"] and manifest.parity["engines"]["fused_loop"]["passed"]
    assert sorted(tree(true)) == sorted([*tree(original), *ENGINES])
    graphs = {name: content for name, content in tree(true).items() if name.endswith(".onnx")}
    assert graphs.items() <= tree(original).items()
    assert is_trusted(engines)
    assert {**manifest.parity, "engines": None} == {**Manifest.read(original).parity, "engines": None}


@pytest.mark.slow
def test_a_bundle_with_engines_verifies(true: Path) -> None:
    ended = command("--verify", true)
    assert (ended.code, ended.out) == (0, f"{true}: equal to its model\n")
    assert "ok   the fused loop: latents " in ended.err


def test_where_there_is_no_gpu_it_runs_as_before(true: Path) -> None:
    assert Samuel.load(true, threads=1).backend.provider is Provider.CPU


# From here on a miniature bundle, and engines that nobody would load: what matters is what becomes of files.

Build = Callable[..., Built]


def build_shams(patch: pytest.MonkeyPatch) -> list[str]:
    """Let builds take no time and proofs always hold; what is built from now on."""
    built: list[str] = []

    def build(model: bytes, name: str, profiles: object, flavor: Flavor, targets: object) -> Built:
        built.append(name)
        return Built(f"sham {name} {len(built)}".encode(), 0.1, 1)

    patch.setattr(adding, "build", build)
    patch.setattr(adding, "check_engine_graphs", proven)
    patch.setattr(engine_proof, "check_engine_graphs", proven)
    return built


@pytest.fixture
def sham(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Builds that take no time and proofs that always hold; what was built."""
    return build_shams(monkeypatch)


@pytest.fixture(scope="module")
def added(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature bundle with sham engines; read it only."""
    folder = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("added") / "bundle"))
    with pytest.MonkeyPatch.context() as patch:
        build_shams(patch)
        add(folder)
    return folder


@pytest.fixture
def added_copy(added: Path, tmp_path: Path) -> Path:
    """The same, to damage."""
    return Path(shutil.copytree(added, tmp_path / "bundle"))


def proven(*_: object) -> dict[str, Any]:
    return {"passed": True}


def add(bundle: Path, precision: Precision = Precision.FP16, targets: tuple[str, ...] = ()) -> list[str]:
    """Add engines; returns what was said."""
    said: list[str] = []
    adding.add_engines(bundle, precision, None, targets, said.append)
    return said


def verified(bundle: Path) -> tuple[bool, list[str]]:
    said: list[str] = []
    return engine_proof.verify_engines(Bundle.open(bundle), said.append), said


def test_engines_are_added_and_replaced(bundle_copy: Path, sham: list[str]) -> None:
    before = tree(bundle_copy)
    (bundle_copy / "LICENCE").write_text("mine")
    add(bundle_copy, targets=("8.6", "8.9", "8.6"))
    first = Manifest.read(bundle_copy).engines
    assert first is not None and first.targets == ("8.6", "8.9")
    add(bundle_copy, Precision.FP32)
    second = Manifest.read(bundle_copy).engines
    assert second is not None and (second.precision, second.targets) == (Precision.FP32, ())
    assert is_trusted(first) and is_trusted(second)
    assert {facts.sha256 for facts in first.files.values()}.isdisjoint(facts.sha256 for facts in second.files.values())
    assert sorted(tree(bundle_copy)) == sorted([*before, *ENGINES, "LICENCE"])  # what else lies there is kept
    assert list(bundle_copy.parent.iterdir()) == [bundle_copy]
    assert len(sham) == 8


def test_engines_under_other_names_do_not_stay(added_copy: Path, sham: list[str]) -> None:
    (added_copy / "step.engine").rename(added_copy / "older.engine")
    edit_manifest(added_copy, lambda manifest: manifest["engines"]["files"]["step"].update(file="older.engine"))
    add(added_copy)
    assert sorted(name for name in tree(added_copy) if "engine" in name) == ENGINES


def test_a_manifest_that_calls_a_graph_an_engine_costs_no_graph(added_copy: Path, sham: list[str]) -> None:
    edit_manifest(added_copy, lambda manifest: manifest["engines"]["files"]["step"].update(file="step.onnx"))
    add(added_copy)
    Samuel.load(added_copy, Provider.CPU, 1)


def test_files_that_cannot_be_written_to_are_replaced(bundle_copy: Path, sham: list[str]) -> None:
    for file in bundle_copy.iterdir():
        file.chmod(0o444)
    add(bundle_copy)
    assert Manifest.read(bundle_copy).engines is not None


@pytest.mark.parametrize("failing", ["first", "last", "trust", "manifest"])
def test_a_failure_leaves_the_bundle_as_it_was(
    added_copy: Path, sham: list[str], failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, build = tree(added_copy), adding.build

    def refuse(*given: object) -> Built:
        if len(sham) == {"first": 0, "last": 3}.get(failing, 4):
            raise UserError("TensorRT does not take it")
        return build(*given)  # type: ignore[arg-type]

    def broken(*_: object, **__: object) -> None:
        raise UserError("the disk is full")

    monkeypatch.setattr(adding, "build", refuse)
    if failing == "trust":
        monkeypatch.setattr(adding, "trust", broken)
    if failing == "manifest":
        monkeypatch.setattr(Manifest, "to_json", broken)
    with pytest.raises(UserError, match=r"does not take it|disk is full"):
        add(added_copy, Precision.FP32)
    assert tree(added_copy) == before
    assert list(added_copy.parent.iterdir()) == [added_copy]


def test_a_graph_that_differs_is_never_built(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is a true one here."""
    original, before, built = adding.engine_graphs, tree(bundle_copy), []

    def wrong(bundle: Bundle, precision: Precision) -> dict[GraphName, onnx.ModelProto]:
        graphs = original(bundle, precision)
        return {**graphs, GraphName.STEP: nudge(graphs[GraphName.STEP])}

    monkeypatch.setattr(adding, "engine_graphs", wrong)
    monkeypatch.setattr(adding, "build", lambda *given: built.append(given))
    ended = command(bundle_copy, "--trt", "--precision", "fp32")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1] == f"error: {bundle_copy}: its engines would differ from it, so none were built"
    assert "FAIL step t=" in ended.err
    assert (built, tree(bundle_copy)) == ([], before)


def test_verifying_holds_each_engine_to_its_graph(added_copy: Path, sham: list[str]) -> None:
    assert verified(added_copy) == (True, [])
    other = {"source_sha256": "0" * 64}
    edit_manifest(added_copy, lambda manifest: manifest["engines"]["files"]["decoder"].update(other))
    passed, said = verified(added_copy)
    assert not passed
    assert said == ["FAIL decoder.engine: was not built from decoder.onnx by this version; build it again with --trt"]


@pytest.mark.parametrize("name", sorted(ENGINE_GRAPHS))
def test_verifying_sees_a_graph_that_is_newer_than_its_engine(
    added_copy: Path, sham: list[str], name: GraphName
) -> None:
    tamper(added_copy, name.value)
    passed, said = verified(added_copy)
    assert not passed
    assert said[0].startswith(f"FAIL {name.value}.engine: was not built from {name.value}.onnx")


@pytest.mark.parametrize("name", sorted(ENGINE_GRAPHS))
def test_verifying_sees_one_byte_of_an_engine(added_copy: Path, sham: list[str], name: GraphName) -> None:
    file = added_copy / f"{name.value}.engine"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=rf"{name.value}\.engine: is not the file that its manifest describes"):
        verified(added_copy)


def test_a_verification_that_fails_ends_with_code_1_or_2(
    added_copy: Path, sham: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "check_against_fingerprints", lambda *_: [])  # its graphs are not the matter here
    edit_manifest(added_copy, lambda m: m["engines"]["files"]["step"].update(source_sha256="f" * 64))
    ended = command("--verify", added_copy)
    assert (ended.code, ended.out) == (1, f"{added_copy}: NOT equal to its model\n")
    assert ended.err.splitlines()[-1].startswith("FAIL step.engine: was not built from step.onnx")
    (added_copy / "step.engine").write_bytes(b"other")
    ended = command("--verify", added_copy)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1].startswith("error: ") and "step.engine" in ended.err


def test_the_hash_of_the_source_is_that_of_what_the_builder_was_given(
    bundle_copy: Path, sham: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, bytes] = {}
    build = adding.build

    def spied(model: bytes, name: str, *more: Any) -> Built:
        given[name] = model
        return build(model, name, *more)

    monkeypatch.setattr(adding, "build", spied)
    add(bundle_copy)
    engines = Manifest.read(bundle_copy).engines
    assert engines is not None
    for name, facts in engines.files.items():
        assert hashlib.sha256(given[f"{name.value}.onnx"]).hexdigest() == facts.source_sha256
