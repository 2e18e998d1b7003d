"""The table and the chart of a run: python -m benchmarks.report [RESULTS.json]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click

from benchmarks.tables.chart import draw
from benchmarks.tables.claims import claims
from benchmarks.tables.rows import Results, Row, read_results

_ROOT = Path(__file__).resolve().parent.parent
LATEST = _ROOT / "benchmarks" / "results" / "latest.json"
CHART = _ROOT / ".github" / "benchmarks.png"

Cell = Callable[[Row], str]


@click.command()
@click.argument("results", type=click.Path(path_type=Path, exists=True), default=LATEST)
@click.option("--table", type=click.Path(path_type=Path), help="Where to write it.  [default: beside RESULTS]")
@click.option("--chart", type=click.Path(path_type=Path), default=CHART, help="Where to draw it.")
def command(results: Path, table: Path | None, chart: Path) -> None:
    """Print and write the table of a run, and draw its chart."""
    read = read_results(results)
    text = markdown(read)
    (table or results.with_name("REPORT.md")).write_text(text)
    click.echo(text)
    draw(read, chart)


def markdown(results: Results) -> str:
    """The whole report."""
    return "\n\n".join(_sections(results)) + "\n"


def seconds_text(seconds: float) -> str:
    """Three digits, in the unit that suits."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:.0f} s"


def _sections(results: Results) -> Iterator[str]:
    machine = results.machine
    peaks = ", ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in machine["peak_gflops"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield "# Benchmarks"
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads for every runner, "
        f"{machine['memory_gb']:.0f} GB, {machine['gpu'] or 'no GPU'}, {machine['system']}; {versions}. "
        f"Measured matrix peak: {peaks}."
    )
    yield (
        'Times are medians. "n x" is how many times as long that runner takes, the median of rounds in which both were '
        "timed in turn. Operations are matrix work of the runner's own graph; the share is of the float32 peak."
    )
    for group, rows in results.groups.items():
        yield f"## {group}\n\n{_table(rows, results)}"
    if found := list(claims(results)):
        lines = [f"| {one.said} | {one.measured} | {one.needed} |" for one in found]
        yield "\n".join(["## The paper's claims\n", "| claim | measured | it would need |", "|---|---|---|", *lines])
    if results.absent:
        yield "## Not measured\n\n" + "\n".join(_absences(results))


def _absences(results: Results) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for name, why in results.absent.items():
        names.setdefault(why, []).append(f"`{name}`")
    return (f"- {why}: {', '.join(found)}" for why, found in names.items())


def _table(rows: list[Row], results: Results) -> str:
    columns = {title: cell for title, cell in _columns(rows, results).items() if any(cell(row) for row in rows)}
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {row.runner} | " + " | ".join(cell(row) or "-" for cell in columns.values()) + " |" for row in rows]
    return "\n".join(lines)


def _columns(rows: list[Row], results: Results) -> dict[str, Cell]:
    most = sorted(rows, key=lambda row: -len(row.facts.get("ratios", {})))  # a row that refers to all has their order
    others = dict.fromkeys(name for row in most for name in row.facts.get("ratios", {}))
    return {
        "time": lambda row: seconds_text(row.seconds),
        **{f"{other} / this": _ratio_cell(other) for other in others},
        "GFLOP": lambda row: f"{row.facts['flop'] / 1e9:.4g}" if "flop" in row.facts else "",
        "GFLOP/s": lambda row: f"{_gflops(row):.3g}" if "flop" in row.facts else "",
        "of peak": lambda row: f"{_gflops(row) / results.peak_gflops:.0%}" if "flop" in row.facts else "",
        "x real time": lambda row: f"{row.facts['audio_s'] / row.seconds:.3g}" if "audio_s" in row.facts else "",
        "relative L2": lambda row: f"{row.facts['relative_l2']:.1e}" if "relative_l2" in row.facts else "",
        "log-mel distance": lambda row: f"{row.facts['log_mel']:.4f}" if "log_mel" in row.facts else "",
        "peak memory": lambda row: f"{row.facts['peak_mb']:.0f} MB" if row.facts.get("peak_mb") else "",
        "stages": lambda row: ", ".join(f"{k} {seconds_text(v)}" for k, v in row.facts.get("stages", {}).items()),
    }


def _ratio_cell(other: str) -> Cell:
    def cell(row: Row) -> str:
        ratio = row.ratio(other)
        return "" if ratio is None else f"{ratio:.3g}"

    return cell


def _gflops(row: Row) -> float:
    return float(row.facts["flop"]) / row.seconds / 1e9


if __name__ == "__main__":
    command()
