from __future__ import annotations

import os
from pathlib import Path

import pytest

from samuel_runtime.engines import loading, processors
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.processors import threads_for, usable
from samuel_runtime.settings import Precision, Provider


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors that the process is bound to, of 64."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    "files, most",
    [({}, 8),
     ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
     ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3),
     ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n"}, 1),
     ({"proc/self/cgroup": "0::/elsewhere\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
     ({"proc/self/cgroup": "3:cpuset:/\n2:cpu,cpuacct:/a\n", "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "200000\n",
       "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n"}, 2),
     ({"proc/self/cgroup": "1:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
       "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 8),
     ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "6400000 100000\n"}, 8)],
    ids=["no groups", "no quota", "quota", "of a group above", "of a container", "version 1", "version 1 without",
         "more than it is bound to"],
)  # fmt: skip
def test_affinity_and_quota_bound_the_processors(files: dict[str, str], most: int, tmp_path: Path) -> None:
    assert usable(_write(tmp_path, files)) == most


def test_an_engine_never_gets_more_threads_than_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for 1,024 on two processors, it once started as many and did not come back."""
    monkeypatch.setattr(processors, "usable", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert (threads_for(1024), threads_for(1), threads_for(None)) == (2, 1, None)
    opened: list[object] = []
    monkeypatch.setattr("samuel_runtime.engines.onnxruntime.OnnxEngine", lambda *given: opened.append(given[-1]))
    loading.open_engine(b"", "m.onnx", Backend(Provider.CPU, Precision.FP32), 1024)
    assert opened == [2]


def test_a_small_quota_of_a_large_machine_bounds_what_engines_would_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "usable", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert threads_for(None) == 2
