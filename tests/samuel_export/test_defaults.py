"""What a bundle asks for is changed without a new export, and is what runs then."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from samuel_export import cli
from samuel_export.defaults import set_defaults
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import SCHEMA_VERSION
from samuel_runtime.errors import UserError
from tests.support.export.sabotage import edit_manifest


def test_a_bundle_gets_other_defaults_and_keeps_the_rest(bundle_copy: Path, tmp_path: Path) -> None:
    before = Bundle.open(bundle_copy).manifest
    edit_manifest(bundle_copy, lambda manifest: manifest.update(schema_version=6))
    new = tmp_path / "new"
    arguments = [bundle_copy, "--steps", 12, "--guidance", 1.5, "--side-gain-db", 0.9]
    arguments += ["--peak-ceiling", 1.4, "-o", new]
    ran = CliRunner().invoke(cli.command, list(map(str, arguments)))
    assert ran.exit_code == 0, ran.output
    after = Bundle.open(new).manifest
    assert (after.model.steps, after.model.guidance, after.schema_version) == (12, 1.5, SCHEMA_VERSION)
    kept = before.model.model_copy(update={"steps": 12, "guidance": 1.5, "side_gain_db": 0.9, "peak_ceiling": 1.4})
    assert after == before.model_copy(update={"model": kept, "schema_version": SCHEMA_VERSION})
    for facts in after.graphs.values():
        assert (new / facts.file).read_bytes() == (bundle_copy / facts.file).read_bytes()
    assert Bundle.open(bundle_copy).manifest.model == before.model


def test_what_is_not_named_stays(bundle_copy: Path) -> None:
    before = Bundle.open(bundle_copy).manifest.model
    set_defaults(bundle_copy, bundle_copy, guided_down_to=7)
    assert Bundle.open(bundle_copy).manifest.model == before.model_copy(update={"guided_down_to": 7})


def test_more_steps_than_the_schedule_has_are_refused_and_nothing_is_written(bundle_copy: Path, tmp_path: Path) -> None:
    most = Bundle.open(bundle_copy).manifest.model.timesteps
    with pytest.raises(UserError, match=rf"^steps must be at most {most}, .* not {most + 1}$"):
        set_defaults(bundle_copy, tmp_path / "new", steps=most + 1)
    assert not (tmp_path / "new").exists()
