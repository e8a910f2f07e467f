import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mutants.mutant import ROOT, Mutant, copy_packages
from tests.mutants.postgres import POSTGRES
from tests.mutants.table import MUTANTS

PATIENCE = 100  # seconds, for the slowest of the named tests on a busy machine

# One adapter too many to start for a patch of another's.
ANYWHERE: tuple[str, ...] = ()
NOT_POSTGRES: tuple[str, ...] = ("-k", "not postgres")

NAMED = {
    where: sorted({name for one in mutants for name in one.caught_by})
    for where, mutants in ((ANYWHERE, POSTGRES), (NOT_POSTGRES, {*MUTANTS} - {*POSTGRES}))
}
CAUGHT = [(mutant, name) for mutant in MUTANTS for name in mutant.caught_by]


def _short(value: Mutant | str) -> str:
    return value.wrong if isinstance(value, Mutant) else value.partition("::")[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.wrong)
def test_a_mutant_fits(mutant: Mutant) -> None:
    """The code that a mutant replaces is found once, and what it becomes is a program."""
    patched = mutant.patched()

    assert patched != mutant.source.read_text()
    if mutant.file.endswith(".py"):
        compile(patched, mutant.file, "exec")


def test_a_copy_wins_over_what_is_installed(tmp_path: Path) -> None:
    """Otherwise the tests would run our own code and call it a mutant."""
    copy_packages(tmp_path)
    modules = sorted({Path(mutant.file).parts[0] for mutant in MUTANTS})
    asked = "; ".join(f"import {name}; print({name}.__file__)" for name in modules)

    found = _python(tmp_path, "-c", asked)

    assert found.stdout.split() == [str(tmp_path / name / "__init__.py") for name in modules]


@pytest.mark.long
@pytest.mark.parametrize("where", NAMED, ids=["PostgreSQL too", "elsewhere"])
def test_without_a_patch_they_pass(where: tuple[str, ...], tmp_path: Path) -> None:
    """All named tests, on an unchanged copy."""
    copy_packages(tmp_path)

    ended = _pytest(tmp_path, NAMED[where], where, patience=5 * PATIENCE)

    assert ended.returncode == 0, ended.stdout


@pytest.mark.long
@pytest.mark.parametrize(("mutant", "name"), CAUGHT, ids=_short)
def test_a_mutant_is_caught(mutant: Mutant, name: str, tmp_path: Path) -> None:
    """The named test fails with the patch; not by being missing, nor by having no time."""
    mutant.bring_to_life(tmp_path)

    ended = _pytest(tmp_path, [name], ANYWHERE if mutant in POSTGRES else NOT_POSTGRES)

    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout


def _pytest(
    packages: Path, names: list[str], where: tuple[str, ...], patience: int = PATIENCE
) -> subprocess.CompletedProcess[str]:
    options = ("-q", "-x", *where, "-p", "no:cacheprovider")
    return _python(packages, "-m", "pytest", *options, *names, patience=patience)


def _python(
    packages: Path, *arguments: str, patience: int = PATIENCE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**_unmeasured(), "PYTHONPATH": str(packages), "RUNTARA_TEST_SHRINK": "no"},
        capture_output=True,
        text=True,
        timeout=patience,
    )


def _unmeasured() -> dict[str, str]:
    """Keep a child from measuring coverage: what a copy covers is not ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}
