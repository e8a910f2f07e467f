"""The placements of installed packages."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from runtara_domain.ports.placements import Placement

GROUP = "runtara.placements"


def other_placements() -> Mapping[str, Placement]:
    """Give those that entry points bring: an image names one in its metadata, as `placement`."""
    return {entry.name: entry.load()() for entry in entry_points(group=GROUP)}
