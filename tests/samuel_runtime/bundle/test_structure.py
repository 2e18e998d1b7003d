"""Graphs that do not fit each other are refused when a bundle is opened, not in the middle of a song."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.bundle.structure import structural_faults
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Provider


def edited(bundle: Path, edit: Any) -> Path:
    values = json.loads((bundle / "bundle.json").read_text())
    edit(values["graphs"])
    (bundle / "bundle.json").write_text(json.dumps(values))
    return bundle


def rename_output(graphs: Any) -> None:
    graphs["step"]["outputs"][0]["name"] = "result"


def change_type(graphs: Any) -> None:
    graphs["timesteps"]["inputs"][0]["dtype"] = "float32"


def change_size(graphs: Any) -> None:
    graphs["step"]["inputs"][2]["shape"][1] += 1


def forget_output(graphs: Any) -> None:
    graphs["conditioning"]["outputs"].pop()


def test_a_proven_bundle_has_no_faults(bundle: Path) -> None:
    assert not list(structural_faults(Manifest.read(bundle)))


@pytest.mark.parametrize("edit", [rename_output, change_type, change_size, forget_output])
def test_graphs_that_do_not_fit_are_refused(bundle_copy: Path, edit: Any) -> None:
    with pytest.raises(UserError, match=r"bundle\.json.*export the bundle again"):
        Bundle.open(edited(bundle_copy, edit))


def test_a_graph_with_other_names_than_its_manifest_says_is_refused(bundle_copy: Path) -> None:
    def rename_both(graphs: Any) -> None:
        for graph, kind in (("timesteps", "outputs"), ("step", "inputs")):
            next(tensor for tensor in graphs[graph][kind] if tensor["name"] == "film")["name"] = "modulation"

    with pytest.raises(UserError, match="other inputs or outputs than its manifest says"):
        Samuel.load(edited(bundle_copy, rename_both), Provider.CPU)
