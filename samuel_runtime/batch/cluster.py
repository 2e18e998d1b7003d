"""Many independent pieces of work over a Ray cluster (Ray Data), each of which may fail without ending the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from samuel_runtime.errors import UserError
from samuel_runtime.serve.worker.outcomes import outcome

_NEEDED = {"ray": "ray[data]", "pyarrow": "ray[data]", "fsspec": "fsspec"}
_ROUNDS, _RETRIES = 3, 1
"""How often what is not done yet is handed out, and begun again at once if its worker died of it, or beside it. Where a
machine ends, what waits for its workers uses up its retries in a moment: the next round is for those."""
_BLOCKS_MOST = 20_000
"""Pieces of work that are handed out, each of one item until there are more of them."""
_UNANSWERED = f"its worker ended {_ROUNDS} times or more while it was done; the worker's log may say why"
_DEFECT = "samuel failed on it by a fault of its own; the worker's log has the traceback"

Item = TypeVar("Item")
Do = Callable[[Any], None]
"""Does one item, and leaves what comes of it where it belongs; raises UserError where the item is at fault."""


@dataclass(frozen=True)
class Cluster:
    """Where work goes, and what each worker takes of a machine."""

    address: str | None = None
    """Of a running cluster; None is that of RAY_ADDRESS, else a cluster of this machine alone."""
    cpus: float = 1.0
    gpus: float = 0.0
    workers: int | None = None
    """The most that run at a time; None is as many as fit."""

    @property
    def threads(self) -> int:
        """Of a worker."""
        return max(1, int(self.cpus))

    def over(self, items: Sequence[Item], make: Callable[[], Do]) -> Iterator[tuple[Item, str]]:
        """Do all items, in any order.

        Args:
            items: plain, small values.
            make: called once in every worker, which it readies; returns what does an item.

        Yields:
            An item that was done, or was given up, and then why: a sentence, else "".

        Raises:
            UserError: Ray is not installed, or there is no such cluster.
        """
        if missing := sorted({package for name, package in _NEEDED.items() if find_spec(name) is None}):
            raise UserError(f"this takes {', '.join(missing)}; add it with `pip install 'samuel-deploy[ray]'`")
        if not items:
            return
        left = list(items)
        with _connected(self.address):
            for _ in range(_ROUNDS):
                unanswered = dict(enumerate(left))
                for number, failure in self._results(left, make):
                    yield unanswered.pop(number), failure
                left = list(unanswered.values())
                if not left:
                    return
        for item in left:
            yield item, _UNANSWERED

    def _results(self, items: Sequence[Item], make: Callable[[], Do]) -> Iterator[tuple[int, str]]:
        """One round: numbers of items that were answered, each once, and why they failed, else ""."""
        import ray.data

        context = ray.data.DataContext.get_current().copy()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.max_errored_blocks = -1  # any number: what does not come back is told as failed
        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=self.workers, max_tasks_in_flight_per_actor=2)
        with ray.data.DataContext.current(context):
            # Numbers alone go through Ray Data: they can be made again on any machine, should one be lost.
            numbers = ray.data.range(len(items), override_num_blocks=min(len(items), _BLOCKS_MOST))
            done = numbers.map(
                _Worker,  # type: ignore[arg-type]  # a class, as its documentation has it
                fn_constructor_args=(list(items), make),
                compute=pool,
                num_cpus=self.cpus,
                num_gpus=self.gpus or None,
                max_task_retries=_RETRIES,
            )
            for row in done.iter_rows():
                yield int(row["id"]), str(row["failure"])


class _Worker:
    """One process of a cluster."""

    def __init__(self, items: list[Any], make: Callable[[], Do]) -> None:
        self._items, self._do = items, make()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """From an item's number to what came of it."""
        item = self._items[row["id"]]

        def do() -> dict[str, Any]:
            self._do(item)
            return {"event": "done", "detail": ""}

        ended = outcome(do, Path(os.devnull))  # no path is left out: who runs this owns the files
        return {"id": row["id"], "failure": ended.get("detail", _DEFECT)}


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """To a cluster, unless this process is already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # samuel tells nobody that it runs
    import ray

    if ray.is_initialized():
        yield
        return
    given = address or os.environ.get("RAY_ADDRESS")
    try:
        ray.init(address, logging_level=logging.WARNING, include_dashboard=None if given else False)
    except ConnectionError as error:
        raise UserError(f"{given}: no Ray cluster answers there; start one with `ray start --head`") from error
    try:
        yield
    finally:
        ray.shutdown()


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a command that works over a cluster: address, cpus, gpus, workers."""
    for option in (
        click.option("--workers", type=click.IntRange(1), help="The most workers at a time.  [default: all that fit]"),
        click.option("--gpus", type=click.FloatRange(0), default=0.0, help="GPUs of a worker, such as 0.5."),
        click.option("--cpus", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
                     help="Processors of a worker."),
        click.option("--address", help="Of a running Ray cluster.  [default: RAY_ADDRESS, else this machine alone]"),
    ):  # fmt: skip
        command = option(command)
    return command
