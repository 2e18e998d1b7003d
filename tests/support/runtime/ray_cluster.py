"""Ray clusters for tests: several nodes on this machine, without dashboard, usage statistics or leftovers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any

import pytest

_OBJECT_STORE_BYTES = 80 << 20  # the least that Ray takes is 75 MiB
_GONE_S = 30.0
_PATIENCE = {
    "RAY_health_check_timeout_ms": "60000",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "2",
}
"""On a busy machine what is slow is not dead; a process that is killed is missed at once, whatever stands here."""


@contextmanager
def ray_cluster(nodes: int = 2, cpus: int = 4) -> Iterator[Any]:
    """A head and further nodes of as many logical processors each, to which this process is connected.

    Args:
        nodes: the head included.
        cpus: of each node.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        for name, patience in _PATIENCE.items():
            patch.setenv(name, patience)
        patch.setenv("RAY_worker_niceness", "0")  # tests wait for them, and other tests run beside
        patch.setenv("RAY_prestart_worker_first_driver", "0")  # a process for each processor, before any is needed
        import ray
        from ray.cluster_utils import Cluster

        logs = bool(os.environ.get("SAMUEL_RAY_LOGS"))  # to see why a test fails
        own = {"object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False, "include_log_monitor": logs}
        cluster = Cluster()
        try:
            for _ in range(nodes):
                cluster.add_node(num_cpus=cpus, **own)
            ray.init(cluster.address, logging_level="ERROR", log_to_driver=logs)
            yield cluster
        finally:
            started = [
                entry.process
                for node in cluster.list_all_nodes()
                for entries in node.all_processes.values()
                for entry in entries
            ]
            ray.shutdown()
            cluster.shutdown()
            began_s = monotonic()
            while any(process.poll() is None for process in started):
                assert monotonic() - began_s < _GONE_S, "processes of Ray are left"
                sleep(0.05)


def cut_power(cluster: Any, node: Any) -> None:
    """End a node with all its processes at once; Ray alone leaves a node's workers to notice that it is gone."""
    import psutil

    roots = [psutil.Process(entry.process.pid) for entries in node.all_processes.values() for entry in entries]
    for process in [child for root in roots for child in root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    cluster.remove_node(node, allow_graceful=False)


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
