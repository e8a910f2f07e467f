"""The placements of installed packages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runtara_domain.model.stored_images import LOCAL
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import Placement
from runtara_environment.placements.local import LocalSettings
from runtara_environment.plugins import PluginBroken, plugins
from runtara_environment.runners.port import Runner

GROUP = "runtara.placements"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementSetup:
    """
    The arguments with which the environment makes a placement of an installed package.

    persistence: it is open while the placement's watch is open, and holds the images' bytes.
    runners: the runners by runner type. local: this environment's folder, and the address at which
    processes find the core.
    """

    environment_id: str
    persistence: Persistence
    runners: Mapping[str, Runner]
    local: LocalSettings


def other_placements(setup: PlacementSetup) -> Mapping[str, Placement]:
    """
    Return the placements of entry points by name. An image's metadata names one as `placement`.

    Each entry point is a callable that takes the setup. Raises PluginBroken.
    """
    found: dict[str, Placement] = {}
    for name, make in plugins(GROUP):
        if name == LOCAL:
            raise PluginBroken(GROUP, name, "this name is taken by the placement on this machine")
        found[name] = _made(name, make, setup)
    return found


def _made(name: str, make: Callable[..., Placement], setup: PlacementSetup) -> Placement:
    try:
        return make(setup)
    except Exception as error:
        raise PluginBroken(GROUP, name, f"{type(error).__name__}: {error}") from error
