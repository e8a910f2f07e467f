"""What a mutant is, and how one comes to life."""

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """
    A small wrong patch of our own code. wrong: what it does wrong, in a sentence.

    file: from its package's top module on. old: found there exactly once, and replaced by new.
    caught_by: the tests of which each must fail with it.
    """

    wrong: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The file it is a patch of."""
        package = Path(self.file).parts[0].replace("_", "-")
        return ROOT / "packages" / package / "src" / self.file

    def patched(self) -> str:
        """The file's text with the patch; raises ValueError unless it fits exactly once."""
        text = self.source.read_text()
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.file} holds {count} times, not once: {self.old!r}")
        return text.replace(self.old, self.new)

    def bring_to_life(self, folder: Path) -> None:
        """Copy all our packages into a folder, this file patched."""
        copy_packages(folder)
        (folder / self.file).write_text(self.patched())


def copy_packages(folder: Path) -> None:
    """Copy all our packages into one folder, to stand in PYTHONPATH."""
    for source in sorted((ROOT / "packages").glob("*/src/*/")):
        if source.name.isidentifier():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / source.name, ignore=ignored)
