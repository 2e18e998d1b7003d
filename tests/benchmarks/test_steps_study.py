from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spacings import SPACINGS
from benchmarks.steps import Row, Study, study, write
from benchmarks.tables.steps_picture import draw
from samuel_runtime.diffusion.samplers import power_spaced_timesteps
from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Provider, Sampler

_COUNTS = (2, 4)


@pytest.fixture(scope="module")
def found(bundle: Path) -> Study:
    """A study of the miniature bundle, with a limit of so few steps that one row reaches it."""
    samuel = Samuel.load(bundle, Provider.CPU, threads=1)
    voice = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
    return study(samuel, {"noise": voice}, range(2), _COUNTS, other_counts=(2,), limit_steps=max(_COUNTS))


@pytest.mark.parametrize("steps", [1, 2, 8, 25, 100])
@pytest.mark.parametrize("name", SPACINGS)
def test_every_spacing_falls_from_the_noisiest(name: str, steps: int) -> None:
    timesteps = SPACINGS[name](Schedule.cosine(), steps)
    assert timesteps[0] == 799 and timesteps[-1] >= 0
    assert 0.8 * steps <= len(timesteps) <= steps
    assert all(later < earlier for earlier, later in pairwise(timesteps))


def test_the_first_spacing_is_the_runtimes() -> None:
    assert next(iter(SPACINGS.values())) is power_spaced_timesteps


def test_the_limit_is_no_distance_from_itself_and_others_are(found: Study) -> None:
    at_limit = found.row(Sampler.DPM_SOLVER_2M, max(_COUNTS))
    assert (at_limit.distance, at_limit.log_mel) == (0, 0)
    assert all(row.distance > 0 and row.log_mel > 0 for row in found.rows if row is not at_limit)
    assert found.row(Sampler.UNIPC, 2).distance != found.row(Sampler.UNIPC, 2, "linspace").distance


def test_takes_differ_by_their_seeds(found: Study) -> None:
    assert len(found.takes) == 2
    assert found.another_seed[0] > 0.1
    assert all(len(row.distances) == 2 for row in found.rows)
    with pytest.raises(KeyError):
        found.row(Sampler.ANCESTRAL, 2)


def test_a_row_is_the_median_over_its_takes(found: Study) -> None:
    for row in found.rows:
        assert row.distance == pytest.approx(np.median(row.distances), abs=2e-5)


def test_the_study_survives_its_file_and_becomes_a_table_and_a_picture(found: Study, tmp_path: Path) -> None:
    write(tmp_path / "deep" / "steps.json", found)
    read = json.loads((tmp_path / "deep" / "steps.json").read_text())
    assert [Row(**row) for row in read["rows"]] == found.rows
    assert {key: read[key] for key in ("guidance", "takes", "window_s")} == {
        key: asdict(found)[key] for key in ("guidance", "takes", "window_s")
    }
    assert f"{found.row(Sampler.DDIM, 2).distance:.3f} / " in found.table()
    draw(tmp_path / "steps.png", read, default_steps=4)
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")
