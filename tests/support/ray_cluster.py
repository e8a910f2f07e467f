"""
A Ray cluster of several nodes on this machine, all on loopback, with tokens.

Ray fills a process with threads and ends it with its head, so the cluster is a process's of its
own: `python -m tests.support.ray_cluster` tells its address on a line, and then takes lines that
name nodes, whose raylets it SIGKILLs.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Ray moves to another address than localhost where a machine has one, unless it is told that it
# must not make clusters; those of `Cluster` it then makes all the same.
VARIABLES = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # It would start a worker for each CPU, of which an agent needs none.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "a-token-of-the-tests-0123456789abcdef",
}
_TRIES = 3
NODE = {
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 80_000_000,
    # It would copy what workers print, which no test reads.
    "include_log_monitor": False,
}


class RayCluster:
    """A running cluster."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address: str = self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def _ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._read()

    def kill(self, node: str) -> None:
        """SIGKILL a node's raylet; its workers live on."""
        self._ask(node)


@contextmanager
def ray_cluster(nodes: int = 2) -> Iterator[RayCluster]:
    """Run a cluster; its variables are to be those of whatever connects to it."""
    for _ in range(_TRIES):
        process = _started(nodes)
        try:
            cluster = RayCluster(process)
        except ValueError:
            # Ray gives a node half a minute to come up, which a busy machine may not make.
            process.wait(60)
        else:
            break
    else:
        raise AssertionError("Ray has made no cluster; its reason is on standard error")
    try:
        yield cluster
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def _started(nodes: int) -> "subprocess.Popen[str]":
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_cluster", str(nodes)],
        cwd=ROOT,
        env={**variables, **VARIABLES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def main(nodes: int) -> None:
    """Serve one cluster."""
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

    # A head starts the dashboard's process whatever it is told, and waits for it.
    Node.start_api_server = lambda *_, **__: None
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    resources = {**NODE, "num_cpus": 1, "memory": 2_000_000_000}
    # The monitor would ask a cloud for machines.
    head = {**resources, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    living = [cluster.head_node, *(cluster.add_node(**resources) for _ in range(nodes - 1))]
    print(json.dumps(cluster.address), file=said, flush=True)
    for line in sys.stdin:
        [node] = [one for one in living if one.node_id == line.strip()]
        os.kill(_raylet(node), signal.SIGKILL)
        print(json.dumps("killed"), file=said, flush=True)
    cluster.shutdown()


def _raylet(node: Any) -> int:
    [process] = node.all_processes["raylet"]
    return int(process.process.pid)


if __name__ == "__main__":
    main(int(sys.argv[1]))
