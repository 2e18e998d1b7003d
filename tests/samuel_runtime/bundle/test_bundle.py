from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE, Bundle
from samuel_runtime.bundle.manifest import REQUIRED_GRAPHS, SCHEMA_VERSION, GraphName, Manifest
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from tests.support.runtime.bad_bundles import BAD_BUNDLES, edit
from tests.support.runtime.fakes.engines import add_sham_engines, sham_engine


def test_every_graph_is_handed_out_whole(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    for name in REQUIRED_GRAPHS:
        facts = opened.manifest.graphs[name]
        assert opened.read_graph(name) == (bundle / facts.file).read_bytes()


def test_without_a_folder_it_is_the_packaged_bundle() -> None:
    try:
        assert Bundle.open().folder == PACKAGED_BUNDLE
    except UserError as error:
        assert str(PACKAGED_BUNDLE) in str(error)


def test_a_manifest_survives_the_round_trip(bundle: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(bundle)
    (tmp_path / "bundle.json").write_text(manifest.to_json())
    assert Manifest.read(tmp_path) == manifest


def test_chunks_may_fill_what_is_allowed_and_no_more(bundle_copy: Path) -> None:
    """Chunks of 65536 frames of 2048 samples and 2 channels, their context on both sides included twice."""
    codec = Manifest.read(bundle_copy).codec
    largest = (1 << 15) - max(codec.encoder_context_frames, codec.decoder_context_frames)
    edit(bundle_copy, lambda values: values["codec"].update(chunk_frames=largest))
    assert Manifest.read(bundle_copy).codec.chunk_frames == largest
    edit(bundle_copy, lambda values: values["codec"].update(chunk_frames=largest + 1))
    with pytest.raises(UserError, match="are too large"):
        Manifest.read(bundle_copy)


_FOUND_WHEN_RUN = {"graph of another kind"}


@pytest.mark.parametrize("kind", sorted(BAD_BUNDLES.keys() - _FOUND_WHEN_RUN))
def test_damage_is_found_before_anything_runs(kind: str, bundle_copy: Path) -> None:
    culprit = BAD_BUNDLES[kind](bundle_copy)
    with pytest.raises(UserError, match=culprit):
        Samuel.load(bundle_copy, threads=1)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _paths(values: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(values, dict):
        return [prefix]
    return [prefix, *(path for key, value in values.items() for path in _paths(value, (*prefix, key)))]


@settings(deadline=1000, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_refused_or_taken_and_nothing_else(
    data: st.DataObject, bundle: Path, tmp_path: Path
) -> None:
    values = json.loads((bundle / "bundle.json").read_text())
    *keys, last = data.draw(st.sampled_from([path for path in _paths(values) if path]))
    target = values
    for key in keys:
        target = target[key]
    target[last] = data.draw(_JSON)
    (tmp_path / "bundle.json").write_text(json.dumps(values))
    try:
        Manifest.read(tmp_path)
    except UserError as error:
        assert "bundle.json" in str(error)


def test_a_bundle_from_before_there_were_engines_still_opens(bundle_copy: Path) -> None:
    def older(values: dict[str, Any]) -> None:
        values["schema_version"] = 2
        values.pop("engines", None)

    edit(bundle_copy, older)
    assert Bundle.open(bundle_copy).manifest.engines is None
    assert Samuel.load(bundle_copy, threads=1).manifest.schema_version == 2
    edit(bundle_copy, lambda values: values.update(schema_version=1))
    with pytest.raises(UserError, match=rf"bundle\.json: has no schema version {SCHEMA_VERSION}"):
        Bundle.open(bundle_copy)


def test_engines_are_handed_out_whole(bundle_copy: Path) -> None:
    manifest = add_sham_engines(bundle_copy)
    opened = Bundle.open(bundle_copy)
    assert opened.manifest == manifest and opened.manifest.engines is not None
    for name, facts in opened.manifest.engines.files.items():
        assert opened.read_engine(facts) == sham_engine(name)


@pytest.mark.parametrize("damage", ["byte", "cut", "gone"])
def test_a_damaged_engine_is_named(bundle_copy: Path, damage: str) -> None:
    manifest = add_sham_engines(bundle_copy)
    file = bundle_copy / "step.engine"
    content = file.read_bytes()
    file.unlink()
    if damage == "byte":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut":
        file.write_bytes(content[:-1])
    assert manifest.engines is not None
    with pytest.raises(UserError, match=r"step\.engine: .*copy the bundle again"):
        Bundle.open(bundle_copy).read_engine(manifest.engines.files[GraphName.STEP])
    Samuel.load(bundle_copy, threads=1)  # which needs none of them


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda engines: engines["files"].pop("decoder"), "engines.*conditioning.*not for the four graphs"),
        (lambda engines: engines["files"].update(timesteps=engines["files"]["step"]), "not for the four graphs"),
        (lambda engines: engines["files"]["step"].update(file="../step.engine"), "not a bare file name"),
        (lambda engines: engines["files"]["step"].update(sha256="0"), "sha256"),
        (lambda engines: engines["files"]["step"].update(profiles=[]), "profiles"),
        (lambda engines: engines.update(flavor="vanilla"), "flavor"),
        (lambda engines: engines.update(precision="int8"), "precision"),
        (lambda engines: engines.update(surprise=1), "surprise"),
        (lambda engines: engines.pop("version"), "version"),
    ],
    ids=["three", "five", "elsewhere", "hash", "profiles", "flavor", "precision", "unknown", "version"],
)
def test_engines_that_are_not_in_order_are_refused(bundle_copy: Path, change: Any, said: str) -> None:
    add_sham_engines(bundle_copy)
    edit(bundle_copy, lambda values: change(values["engines"]))
    with pytest.raises(UserError, match=rf"bundle\.json: engines.*{said}.*export the bundle again"):
        Bundle.open(bundle_copy)


def test_a_bundle_of_links_is_read_as_caches_of_model_hubs_have_it(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (linked := tmp_path / "bundle").mkdir()
    for number, file in enumerate(sorted(bundle.iterdir())):
        (tmp_path / "blobs" / str(number)).write_bytes(file.read_bytes())
        (linked / file.name).symlink_to(Path("..") / "blobs" / str(number))
    opened = Bundle.open(linked)
    for name in REQUIRED_GRAPHS:
        assert opened.read_graph(name) == Bundle.open(bundle).read_graph(name)
    (linked / "step.onnx").unlink()
    (linked / "step.onnx").symlink_to("decoder.onnx")
    with pytest.raises(UserError, match=r"step\.onnx: .*copy the bundle again"):
        opened.read_graph(GraphName.STEP)


@pytest.mark.parametrize(
    "where, values, said",
    [
        ("codec", {"chunk_frames": 1 << 17}, "chunks of 131072 frames"),
        ("codec", {"hop_samples": 1 << 20}, "are too large"),
        ("codec", {"encoder_context_frames": 4096, "hop_samples": 1 << 16}, "are too large"),
        ("model", {"frames": 1 << 20, "latent_channels": 1 << 12}, "too many for one window"),
        ("model", {"frames": 1 << 20, "frames_min": 1 << 20}, "are no shortest window"),
    ],
)
def test_sizes_that_are_bounded_alone_are_bounded_together(
    bundle_copy: Path, where: str, values: dict[str, int], said: str
) -> None:
    """Each field was within its bounds, and their product was 4 TiB to allocate."""

    def enlarge(manifest: dict[str, Any]) -> None:
        manifest[where].update(values)
        channels = manifest["model"]["latent_channels"]
        statistics = manifest["model"]["statistics"]
        for key in [key for key in statistics if not key.startswith("clamp")]:
            statistics[key] = [1.0] * channels

    edit(bundle_copy, enlarge)
    with pytest.raises(UserError, match=f"bundle\\.json: .*{said}"):
        Bundle.open(bundle_copy)
