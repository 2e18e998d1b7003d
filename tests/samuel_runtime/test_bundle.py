from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samuel_runtime.bundle import PACKAGED_BUNDLE, Bundle
from samuel_runtime.errors import UserError
from samuel_runtime.manifest import GraphName, Manifest
from samuel_runtime.pipeline import Samuel
from tests.samuel_runtime.bad_bundles import BAD_BUNDLES


def test_every_graph_is_handed_out_whole(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    for name in GraphName:
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


@settings(deadline=1000, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
