"""Many independent pieces of work over a Ray cluster (Ray Data), each of which may fail without ending the others."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from samuel_runtime.errors import UserError
from samuel_runtime.serve.worker.outcomes import outcome

_NEEDED = {"ray": "ray[data]", "pyarrow": "ray[data]", "fsspec": "fsspec"}
_ATTEMPTS = 3
"""How often an item is begun before it is given up: its worker may end because of it, or with its machine."""
_BLOCKS_MOST = 20_000
"""Pieces of work that are handed out, each of one item until there are more of them."""
_UNANSWERED = f"its worker ended {_ATTEMPTS} times while it was done; the worker's log may say why"
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
        with _connected(self.address):
            import ray.data

            context = ray.data.DataContext.get_current().copy()
            context.enable_progress_bars = context.print_on_execution_start = False
            with ray.data.DataContext.current(context):
                # Numbers alone go through Ray Data: they can be made again on any machine, should one be lost.
                numbers = ray.data.range(len(items), override_num_blocks=min(len(items), _BLOCKS_MOST))
                # Tasks, not actors: Ray begins those of a lost machine again on any other, whatever runs there.
                done = numbers.map(
                    _Work.of(items, make),
                    compute=ray.data.TaskPoolStrategy(self.workers),
                    num_cpus=self.cpus,
                    num_gpus=self.gpus or None,
                    max_calls=0,  # any number, with a GPU, too: what a process has readied stays
                )
                for row in done.iter_rows():
                    yield items[row["id"]], str(row["failure"])


@dataclass(frozen=True)
class _Work:
    """What tasks share. Small where it travels with each of them: the rest is fetched once in every process."""

    shared: Any
    """Reference to the items and to what readies a process for them."""
    attempts: Any
    """Actor that counts how often each item was begun; Ray itself would begin one that kills its worker for ever."""

    @classmethod
    def of(cls, items: Sequence[Any], make: Callable[[], Do]) -> _Work:
        """On the machine that hands out the work, without which there is nothing to be finished."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        attempts = ray.remote(_Attempts).options(num_cpus=0, scheduling_strategy=here).remote()
        return cls(ray.put((list(items), make)), attempts)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """From an item's number to what came of it."""
        import ray

        number = int(row["id"])
        if ray.get(self.attempts.begun.remote(number)) > _ATTEMPTS:
            return {"id": number, "failure": _UNANSWERED}

        def do() -> dict[str, Any]:
            items, do_item = _readied(self.shared)
            do_item(items[number])
            return {"event": "done", "detail": ""}

        ended = outcome(do, Path(os.devnull))  # no path is left out: who runs this owns the files
        return {"id": number, "failure": ended.get("detail", _DEFECT)}


@lru_cache(maxsize=1)  # a process of a cluster does many items of one run
def _readied(shared: Any) -> tuple[list[Any], Do]:
    """The items of a run, and what does one here."""
    import ray

    items, make = ray.get(shared)
    return items, make()


class _Attempts:
    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begun(self, number: int) -> int:
        """How often, this time included."""
        self._begun[number] += 1
        return self._begun[number]


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
