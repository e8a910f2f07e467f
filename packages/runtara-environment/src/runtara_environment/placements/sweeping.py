"""Removing the folders of launches that nothing needs any more."""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from runtara_domain.model.launches import KEPT_LAUNCHES
from runtara_environment.folders import forget_launches, instances_at_rest
from runtara_environment.images.cache import ImageCache
from runtara_environment.spawner.containers import Container

logger = logging.getLogger(__name__)

_UNUSED = timedelta(days=7)
"""How long an abandoned container stays, and the copy of an image without launches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """
    The contents of a data folder.

    launches, containers: the folders of open launches and of their containers. images: the ids of
    the images that open launches run.
    """

    data_dir: Path
    cache: ImageCache
    launches: Collection[Path]
    containers: Collection[Path]
    images: Collection[str]

    async def sweep(
        self, is_known: Callable[[str], Awaitable[bool]], older_than: timedelta | None
    ) -> int:
        """Sweep as `KeepsFolders` says; return how many folders were removed."""
        week_ago = time.time() - _UNUSED.total_seconds()
        return (
            await self.sweep_runs(is_known, older_than)
            + await asyncio.to_thread(self.sweep_containers, week_ago)
            + await asyncio.to_thread(self.cache.sweep, self.images, week_ago)
        )

    async def sweep_runs(
        self, is_known: Callable[[str], Awaitable[bool]], older_than: timedelta | None
    ) -> int:
        """
        Remove folders of launches, and return how many.

        older_than: an instance that is not known any more, and had no launch for that long, loses
        its whole folder with its workspace. None: no instance does.
        """
        runs = self.data_dir / "runs"
        removed = await asyncio.to_thread(forget_launches, runs, self.launches, most=KEPT_LAUNCHES)
        if older_than is None:
            return removed
        before = time.time() - older_than.total_seconds()
        at_rest = await asyncio.to_thread(instances_at_rest, runs, self.launches, before)
        for folder, instance_id in at_rest:
            if not await is_known(instance_id):
                await asyncio.to_thread(shutil.rmtree, folder)
                removed += 1
        return removed

    def sweep_containers(self, before: float) -> int:
        """Remove containers that a spawner left when it died; return how many."""
        folder, removed = self.data_dir / "containers", 0
        for one in folder.iterdir() if folder.exists() else ():
            if one not in self.containers and one.lstat().st_mtime < before:
                try:
                    Container(one).remove_now()
                    removed += 1
                except OSError as error:
                    logger.warning("the container in %s can't be removed: %s", one, error)
        return removed


def forget(folders: Iterable[Path]) -> None:
    """
    Remove the folders of deleted instances, if they exist.

    A folder that can't be removed is logged. A later sweep tries again.
    """
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("the folder of a deleted instance stays: %s", error)
