"""The copies of images that this environment runs."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from runtara_domain.model.launch_ends import Cause
from runtara_domain.model.stored_images import Image
from runtara_domain.ports.images import Images
from runtara_domain.ports.placements import LaunchFailed
from runtara_environment.folders import safe_name
from runtara_environment.runners.port import NotRunnable, Runner


class ImageCache:
    """Keeps images that were run in a folder each, verified and installed once."""

    def __init__(self, images: Images, folder: Path) -> None:
        self._images = images
        self._folder = folder
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def installed(self, image: Image, runner: Runner) -> Path:
        """Return the folder of an image that its runner has installed; raises LaunchFailed."""
        folder = self._folder / safe_name(image.image_id)
        if image.sha256 is None:
            return _adopted(image, folder)
        async with self._locks[image.image_id]:
            if folder.exists():
                os.utime(folder)
            else:
                await self._install(image, runner, folder)
        return folder

    async def _install(self, image: Image, runner: Runner, folder: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".new-") as made:
            content, code = Path(made) / "content", Path(made) / "code"
            await self._fetch(image, content)
            code.mkdir()
            try:
                await asyncio.to_thread(runner.install, content, code)
            except NotRunnable as error:
                raise LaunchFailed(Cause.REFUSED, str(error), problem=str(error)) from error
            except OSError as error:
                reason = f"image {image.image_id} can't be unpacked: {error}"
                raise LaunchFailed(Cause.RUNNER_FAILED, reason) from error
            code.rename(folder)

    async def _fetch(self, image: Image, content: Path) -> None:
        digest, position = hashlib.sha256(), 0
        with content.open("wb") as file:
            while (chunk := await self._images.chunk(image.image_id, position)) is not None:
                digest.update(chunk)
                file.write(chunk)
                position += 1
        if digest.hexdigest() != image.sha256:
            reason = f"image {image.image_id}: its bytes differ from the registered ones"
            raise LaunchFailed(Cause.IMAGE_MISSING, reason)

    def sweep(self, kept: Collection[str], before: float) -> int:
        """Remove copies of other images than these that were not launched since; gives how many."""
        names = {safe_name(image_id) for image_id in kept}
        removed = 0
        for folder in self._folder.iterdir() if self._folder.exists() else ():
            # A folder that begins with a dot is the rest of an interrupted installation.
            if folder.name not in names and folder.lstat().st_mtime < before:
                shutil.rmtree(folder)
                removed += 1
        return removed


def _adopted(image: Image, folder: Path) -> Path:
    """Return a folder that points to the file of a Rust environment's image."""
    program = Path(image.binary_path or "")
    if not program.is_file():
        reason = f"image {image.image_id}: this machine has no file {image.binary_path!r}"
        raise LaunchFailed(Cause.IMAGE_MISSING, reason)
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "program"
    if not link.is_symlink() or link.readlink() != program.absolute():
        link.unlink(missing_ok=True)
        link.symlink_to(program.absolute())
    return folder
