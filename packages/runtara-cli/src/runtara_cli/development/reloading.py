"""Deploys the images of sources again when a file changes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from runtara_cli import deploying, packing
from runtara_cli.packing import NotPackable, Packed
from runtara_management_sdk import ManagementClient, RegisteredImage
from runtara_sdk.errors import ServerError

_EVERY = 0.3
"""Seconds between two checks of the files."""

Say = Callable[[str, str | None], None]
"""Shows a text to the user, in a colour."""


class Source:
    """A file, folder or module; its images are those of its last version without an error."""

    def __init__(self, name: str, client: ManagementClient, tenant_id: str, say: Say) -> None:
        self._name = name
        self._client = client
        self._tenant_id = tenant_id
        self._say = say
        self._packed: Packed | None = None
        self._seen: dict[Path, tuple[int, int]] = {}

    @property
    def workflows(self) -> tuple[str, ...]:
        """The names of its workflows, by its last version without an error."""
        return tuple(one.name for one in self._packed.workflows) if self._packed else ()

    async def load(self) -> None:
        """Deploy images of the present code, and show the outcome."""
        self._seen = self._look()
        try:
            packed = await asyncio.to_thread(packing.pack, self._name)
        except NotPackable as error:
            before = "; the previous version stays deployed" if self._packed else ""
            self._say(f"{error}{before}", "red")
            return
        self._packed = packed
        self._seen = self._look()
        for lacking in packed.lacking:
            self._say(f"{self._name} needs {lacking}, which is not installed", "yellow")
        for workflow in packed.workflows:
            try:
                image = await deploying.deploy(self._client, self._tenant_id, packed, workflow)
            except ServerError as error:
                self._say(f"{workflow.name}: {error}", "red")
            else:
                self._say(_told(workflow.name, self._name, image), "green")

    def has_changed(self) -> bool:
        """Return whether a file differs from when it was loaded."""
        return self._look() != self._seen

    def _look(self) -> dict[Path, tuple[int, int]]:
        files = [*packing.sources(self._name), *(self._packed.files if self._packed else ())]
        return {file: stamp for file in files if (stamp := _stamp(file)) is not None}


async def keep(sources: list[Source]) -> None:
    """Load changed sources again, until cancelled."""
    while True:
        await asyncio.sleep(_EVERY)
        for source in sources:
            if source.has_changed():
                await source.load()


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _told(workflow: str, source: str, image: RegisteredImage) -> str:
    new = "" if image.created else ", as it was"
    return f"{workflow} version {image.version}{new} ({source})"
