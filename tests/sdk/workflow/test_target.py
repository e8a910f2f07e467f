"""Mistakes of newcomers on the command line, and the errors for them."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtara_sdk.workflow.process import loading

MODULE = """\
from runtara_sdk import step, workflow

@workflow
async def charge_all() -> None: ...

@workflow
async def refund() -> None: ...

@step
async def charge() -> None: ...

async def undecorated() -> None: ...

number = 1
"""

Module = Callable[[str, str], None]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Write a module into the current folder, which is looked in for modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def written(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        # Another test's may have had the name.
        monkeypatch.delitem(sys.modules, name, raising=False)

    return written


def refusal(asked: str) -> str:
    with pytest.raises(loading.UsageError) as raised:
        loading.find(asked)
    return str(raised.value)


def test_a_workflow_is_found_by_its_function(module: Module) -> None:
    """Its stored name does not matter."""
    module("shop_found", MODULE)

    assert loading.find("shop_found:refund").name == "refund"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("shop", "takes MODULE:FUNCTION, got 'shop': its workflows are {}"),
        ("shop:charge_al", "shop:charge_al: the module has no 'charge_al'; did you mean {:.15}?"),
        ("shop:xyz", "shop:xyz: the module has no 'xyz'; its workflows are {}"),
        ("shop:charge", "'charge' is a step: run the workflow that calls it; did you mean {:.15}"),
        ("shop:number", "'number' is no function decorated with @workflow; its workflows are {}"),
        ("shop:undecorated", "'undecorated' is a plain function: decorate it with @workflow"),
        ("shop.py:refund", "as `import` names it, got 'shop.py:refund': did you mean shop:refund?"),
        ("./shop.py", "did you mean shop:FUNCTION?"),
        ("lib/shop.py:refund", "did you mean lib.shop:refund?"),
    ],
)
def test_what_is_no_workflow_is_refused_with_those_there_are(
    module: Module, asked: str, told: str
) -> None:
    """The error says what it is instead."""
    module("shop", MODULE)

    assert told.format("shop:charge_all, shop:refund") in refusal(asked)


def test_a_missing_module_is_reported_with_where_it_was_sought(
    module: Module, tmp_path: Path
) -> None:
    """Most run the command in another folder."""
    assert refusal("shop_elsewhere.orders:refund") == (
        f"there is no module 'shop_elsewhere' in {tmp_path}, nor on PYTHONPATH: run this in the"
        " folder that holds shop_elsewhere/orders.py"
    )


def test_a_module_that_a_module_needs_is_distinguished(module: Module) -> None:
    """The error has the line that needs it, and the Python in which it is missing."""
    module("shop_needy", "import no_such_library\n")

    said = refusal("shop_needy:refund")
    assert said.startswith(
        "shop_needy needs the module 'no_such_library', which is not installed for"
        f" {sys.executable}: "
    )
    assert "import no_such_library" in said
    assert said.count('File "') == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 / 0\n", "can't be imported: ZeroDivisionError: division by zero"),
        ("def (\n", "can't be imported: SyntaxError: invalid syntax"),
        ("raise SystemExit(3)\n", 'put what it does into `if __name__ == "__main__":`'),
        ("x = 1\n", "has no function decorated with @workflow"),
        ("class Own(BaseException): ...\nraise Own('no')\n", "can't be imported: Own: no"),
        ("def __getattr__(name): raise KeyError(name)\n", "the module has no 'refund'"),
        ("import sys; sys.modules[__name__] = sys.flags\n", "the module has no 'refund'"),
    ],
)
def test_a_module_that_cannot_be_used_says_why(module: Module, text: str, told: str) -> None:
    """Importing it fails nothing but the command."""
    module("shop_broken", text)

    said = refusal("shop_broken:refund")
    assert told in said
    assert "importlib" not in said


def unread(path: str) -> str:
    with pytest.raises(loading.UsageError) as raised:
        loading.read(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("order-17\n", '; a text is JSON in double quotes: "order-17"'),
        ('{"id": "17"\n', "--input - is no JSON: Expecting ',' delimiter: line 2 column 1"),
        (" \n", "--input - is empty: it takes JSON, or leave it out"),
        ("\xff", "--input - is no JSON: "),
    ],
)
def test_an_input_that_is_no_json_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, given: str, told: str
) -> None:
    """Quotes or an end may be missing, or everything."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode("latin1"))))

    assert told in unread("-")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_an_input_is_json_in_any_of_its_encodings(tmp_path: Path, encoding: str) -> None:
    """It may have a byte-order mark, as editors and shells of Windows write it."""
    given = tmp_path / "order.json"
    given.write_bytes('{"id": "Zoë"}'.encode(encoding))

    assert loading.read(str(given)) == '{"id": "Zoë"}'.encode()


def test_an_input_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the file and the reason."""
    (tmp_path / "deep").write_text("[" * 100_000)
    monkeypatch.setattr(sys, "stdin", None)

    assert "is no JSON: maximum recursion depth exceeded" in unread(str(tmp_path / "deep"))
    assert unread("-") == "--input -: standard input is closed"
    assert "null" in unread("a\0b")


def test_an_input_is_a_file(tmp_path: Path) -> None:
    """The option takes a file or standard input; for JSON itself the error says so."""
    given = tmp_path / "order.json"
    given.write_text('{"id": "17"}')

    assert loading.read(str(given)) == b'{"id": "17"}'
    assert loading.read(None) is None
    assert unread(str(tmp_path)) == f"--input {tmp_path}: Is a directory"
    assert unread("order.jsn") == "--input order.jsn: No such file or directory"
    assert unread('"order-17"').endswith("; it takes a file: echo JSON to `--input -`")
