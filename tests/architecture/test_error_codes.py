"""The codes of errors: each class has its own, and the SDK's README lists them all."""

import re
from collections.abc import Iterator

from tests.architecture.house import ROOT

from runtara_sdk import errors
from runtara_sdk.errors import RuntaraError
from runtara_sdk.workflow import errors as workflow_errors

_ROW = re.compile(r"^\| `(?P<code>[A-Z_]+)` \| `(?P<name>[A-Z]\w+)` \|", re.MULTILINE)


def below(kind: type[RuntaraError]) -> Iterator[type[RuntaraError]]:
    """Give the classes of errors that users may catch."""
    for each in kind.__subclasses__():
        if each.__module__ in (errors.__name__, workflow_errors.__name__):
            yield each
            yield from below(each)


def test_the_readme_lists_the_code_of_each_error() -> None:
    """The table of the SDK's README names every class of errors with its code, and no other."""
    page = (ROOT / "packages/runtara-sdk/README.md").read_text()

    listed = [(row["code"], row["name"]) for row in _ROW.finditer(page)]

    assert sorted(listed) == sorted((each.code, each.__name__) for each in below(RuntaraError))


def test_no_two_errors_share_a_code() -> None:
    """A code stands for one class."""
    codes = [RuntaraError.code, *(each.code for each in below(RuntaraError))]

    assert len(codes) == len(set(codes))
