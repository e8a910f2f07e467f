"""Messages between environment, helper and agents: JSON, whose records are pickles in base64."""

import base64
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from runtara_domain.launching.lease import LeaseTimes
from runtara_domain.model.stored_images import Image
from runtara_environment.runners.port import limits_of

NAMESPACE = "runtara"
VERSION = version("runtara-environment")
"""An agent of another version is replaced. The processes that it launched go on."""
LEAST_CPUS = 0.01
"""The CPUs that are booked for an image that states none: Ray needs a figure above 0."""
AGENT_LEASE = LeaseTimes(ttl=timedelta(seconds=15), every=timedelta(seconds=5))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSetup:
    """
    The settings that an agent gets when it begins.

    data_dir: a folder on each node; each agent makes its own folder in it. tls_ca_pem: certificates
    that launched processes trust. idle_s: an agent without launches ends after so many seconds
    without a request. retention: how long the folders of deleted instances are kept, None: for
    ever. sweep_s: seconds between two sweeps of such folders.
    """

    environment_id: str
    database_url: str
    data_dir: Path
    core_addr: str
    server_name: str | None = None
    tls_ca_pem: str | None = None
    skip_cert_verification: bool = False
    max_log_bytes: int = 16 * 1024 * 1024
    warm_images: int = 8
    prepared_processes: int = 2
    oci_runtime: str | None = None
    idle_s: float = 600
    retention: timedelta | None = None
    sweep_s: float = 3600

    def agent_id(self, node: str) -> str:
        """Return the id of the lease that the agent of a node holds."""
        return f"{self.environment_id}@{node}"


def packed(record: object) -> str:
    """Return a record as a text (a pickle: read only from trusted processes)."""
    return base64.b64encode(pickle.dumps(record)).decode()


def unpacked(text: str) -> Any:
    """Return the record that `packed` turned into this text."""
    return pickle.loads(base64.b64decode(text))


def booked(image: Image) -> dict[str, float]:
    """Return the resources that a launch of an image books, by Ray's names."""
    memory, cpus = limits_of(image)
    bundle = {"CPU": cpus or LEAST_CPUS}
    if memory is not None:
        bundle["memory"] = float(memory)
    return bundle


def why_waiting(
    bundle: Mapping[str, float],
    nodes: Sequence[Mapping[str, float]],
    free: Mapping[str, float],
) -> dict[str, Any]:
    """
    Return why a booking has no room, and whether the end of another launch makes room for it.

    nodes: the resources of each living node, free or not. free: the free resources of the cluster
    now, the sum over all nodes.
    """
    asked, largest = _in_words(bundle), max(nodes, key=_size, default={})
    if any(all(node.get(name, 0) >= count for name, count in bundle.items()) for node in nodes):
        text = (
            f"no node has enough free for its image, which asks for {asked}: the cluster has"
            f" {_in_words(free)} free, its largest node has {_in_words(largest)} in all; the launch"
            " is tried again when more is free"
        )
        return {"waiting": text, "is_too_large": False}
    text = (
        f"no node is large enough for its image, which asks for {asked}: the largest of"
        f" {len(nodes)} has {_in_words(largest)} in all; add a larger node, or register an image"
        " that asks for less"
    )
    return {"waiting": text, "is_too_large": True}


def _size(node: Mapping[str, float]) -> tuple[float, float]:
    return node.get("memory", 0), node.get("CPU", 0)


def _in_words(resources: Mapping[str, float]) -> str:
    cpus, memory = resources.get("CPU", 0), resources.get("memory", 0)
    return f"{cpus:g} CPUs and {memory / 1024 / 1024:.0f} MiB of memory"
