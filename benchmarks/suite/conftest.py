"""What the benchmarks share, and what goes into the JSON beside their times."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.measuring.machine import Machine, this_machine
from benchmarks.runners.denoisers import Steps
from benchmarks.runners.network import Paper, make_paper
from samuel_export.tensorrt.add_engines import add_engines
from samuel_runtime.engines.tensorrt.device import gpu_here
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision

_skipped: dict[str, str] = {}


@pytest.fixture(scope="session", autouse=True)
def machine() -> Machine:
    """Measure the machine before anything is timed, and name it above the results."""
    found = this_machine()
    print(f"\n{found.describe()}")
    return found


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """The paper's network, in PyTorch and exported; with engines where a GPU could run them."""
    made = make_paper(tmp_path_factory.mktemp("paper"))
    try:
        gpu_here()
    except UserError:
        return made
    add_engines(made.bundle, Precision.FP16, None, (), lambda line: None)
    return made


@pytest.fixture(scope="session")
def steps(paper: Paper) -> Steps:
    """Every runner of a guided step."""
    return Steps(paper)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember why a row is absent."""
    if report.skipped and isinstance(report.longrepr, tuple):
        _skipped[report.nodeid.rpartition("::")[2]] = report.longrepr[2].removeprefix("Skipped: ")


def pytest_benchmark_generate_machine_info() -> dict[str, Any]:
    """The machine as reports describe it: no host or user names."""
    return this_machine().to_dict()


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Make the file small enough to keep, and say what is absent from it."""
    output_json["absent"] = dict(_skipped)
    for entry in output_json["benchmarks"]:
        del entry["stats"]["data"]
