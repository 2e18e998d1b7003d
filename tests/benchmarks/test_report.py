"""The report says what the JSON holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.report import command, markdown, seconds_text
from benchmarks.tables.chart import draw
from benchmarks.tables.claims import LOOP, RUN, STEP, claims
from benchmarks.tables.rows import read_results
from samuel_runtime.errors import UserError

_SONG_S = 47.554


def _entry(group: str, runner: str, median: float, **facts: Any) -> dict[str, Any]:
    return {"group": group, "name": runner, "extra_info": {"runner": runner, **facts}, "stats": {"median": median}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A run with one row of every kind."""
    loop_ratios = {"PyTorch as published": [95.0, 100.0, 105.0]}
    results = {
        "machine_info": {
            "processor": "A processor", "cores": 4, "threads": 2, "memory_gb": 8.0, "system": "An OS", "gpu": "",
            "versions": {"torch": "2"}, "peak_gflops": {"float32": 100.0},
        },
        "absent": {"test_guided_step[CUDA]": "there is no GPU", "test_loop[CUDA]": "there is no GPU"},
        "benchmarks": [
            _entry(STEP, "PyTorch as published", 0.2, flop=8e9, parameters=15_000_000, relative_l2=2e-6),
            _entry(STEP, "ONNX Runtime fp32", 0.05, flop=4e9, ratios={"PyTorch as published": [3.9, 4.0, 4.1]}),
            _entry(LOOP, "PyTorch as published, 800 steps", 20.0, seconds=160.0),
            _entry(LOOP, "ONNX Runtime fp32, 25 steps", 1.6, ratios=loop_ratios),
            _entry(RUN, "ONNX Runtime fp32", 4.7554, stages={"python": 0.1, "sample": 3.0}, peak_mb=300.0),
            _entry("`samuel-run` by song length", "1 min", 2.0, minutes=1, peak_mb=400.0),
            _entry("Decoding", "PyTorch eager", 3.0, audio_s=6.0, log_mel=0.25),
        ],
    }  # fmt: skip
    path = tmp_path / "latest.json"
    path.write_text(json.dumps(results))
    return path


def test_a_row_has_its_time_ratio_and_share_of_the_peak(saved: Path) -> None:
    text = markdown(read_results(saved))
    row = next(line for line in text.splitlines() if line.startswith("| ONNX Runtime fp32 | 50 ms"))
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["50 ms", "4", "4", "80", "80%", "-"]
    assert "PyTorch as published / this" in text
    assert "- there is no GPU: `test_guided_step[CUDA]`, `test_loop[CUDA]`" in text
    assert "| PyTorch eager | 3 s | 2 | 0.2500 |" in text  # twice real time


def test_a_benchmark_that_times_parts_says_the_whole(saved: Path) -> None:
    row = read_results(saved).find(LOOP, "PyTorch")
    assert row is not None and row.seconds == 160.0


def test_claims_follow_from_the_rows(saved: Path) -> None:
    size, fewer, faster, real_time = claims(read_results(saved))
    assert size.measured == "15,000,000"
    assert fewer.measured.startswith("220 times fewer than the 3.3 billion")
    assert "800 steps take 160 s" in faster.measured and "100 times faster" in faster.measured
    assert faster.needed.startswith("a system that takes 2.3 h")  # 52 x 160 s
    assert f"{_SONG_S / 160:.2f} times real time" in real_time.measured
    assert "band file, 10 times" in real_time.measured
    assert "3.4 times faster, or 238 of its 800 steps" in real_time.needed


def test_claims_without_their_rows_are_left_out(saved: Path) -> None:
    said = json.loads(saved.read_text())
    said["benchmarks"] = said["benchmarks"][4:]
    saved.write_text(json.dumps(said))
    assert not list(claims(read_results(saved)))
    assert "claims" not in markdown(read_results(saved))


def test_the_command_writes_table_and_chart(saved: Path, tmp_path: Path) -> None:
    chart = tmp_path / "pictures" / "chart.png"
    done = CliRunner().invoke(command, [str(saved), "--chart", str(chart)], catch_exceptions=False)
    assert done.exit_code == 0
    assert (tmp_path / "REPORT.md").read_text() == done.output.removesuffix("\n")
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_results_with_nothing_to_draw_say_what_to_run(saved: Path) -> None:
    said = json.loads(saved.read_text())
    said["benchmarks"] = []
    saved.write_text(json.dumps(said))
    with pytest.raises(UserError, match="make bench"):
        draw(read_results(saved), saved.with_name("chart.png"))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123456, "12.3 ms"), (1.2345, "1.23 s"), (171.4, "171 s"), (4321.0, "4321 s")]
)
def test_times_have_three_digits(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
