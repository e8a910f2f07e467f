"""All mutants; run as a command, it writes docs/mutants.md."""

from collections.abc import Iterable

from tests.mutants.domain import DOMAIN
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.persistence import PERSISTENCE
from tests.mutants.postgres import POSTGRES
from tests.mutants.telling import TELLING
from tests.mutants.wire import WIRE
from tests.mutants.workflow import WORKFLOW

MUTANTS = (*DOMAIN, *PERSISTENCE, *POSTGRES, *TELLING, *WIRE, *WORKFLOW)

PAGE = ROOT / "docs" / "mutants.md"

_HEAD = """\
# Mutants

Proof that the tests can fail: small wrong patches of our own code, each caught by the tests named
beside it. `make long` runs them; every change checks that they still fit. Made from the patches in
`tests/mutants/` by `uv run python -m tests.mutants.table`.

| what is wrong | in | caught by |
|---|---|---|
"""


def page(mutants: Iterable[Mutant]) -> str:
    """Write the table for people."""
    return _HEAD + "".join(_line(mutant) for mutant in mutants)


def _line(mutant: Mutant) -> str:
    tests = "<br>".join(f"`{name.removeprefix('tests/')}`" for name in mutant.caught_by)
    return f"| {mutant.wrong} | `{mutant.file}` | {tests} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(MUTANTS))
