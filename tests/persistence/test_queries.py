import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import runtara_persistence
from runtara_persistence.queries import Queries, Statement, Statements, include, load, shared

ADAPTERS = Path(runtara_persistence.__file__).parent


def test_each_query_is_found_by_its_name() -> None:
    text = "-- name: save.find\nSELECT 1; -- one\n;\n\n-- name: get\n-- why\nSELECT 2\n"

    queries = Queries(text, source="x.sql")

    assert queries["save.find"] == "SELECT 1; -- one\n"
    assert queries["get"] == "-- why\nSELECT 2"


def test_an_unknown_name_is_refused_naming_the_known_ones() -> None:
    queries = load("runtara_persistence.sqlite", "checkpoints.sql")

    with pytest.raises(KeyError, match=r"checkpoints.sql has no query 'sav', only save.find, "):
        queries["sav"]


def test_a_file_is_read_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of the package may replace the files of a running server."""
    queries = Statements("limits.sql")

    monkeypatch.setattr(Path, "read_text", None)

    assert "INSERT INTO limits" in (queries["put"].sqlite or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1;\n-- name: get\nSELECT 1;", "text before the first name"),
        ("-- name: get\nSELECT 1;\n-- name: get\nSELECT 1;", "two queries are named 'get'"),
        ("-- name: Get It\nSELECT 1;", "'Get It' is no name of a query"),
        ("-- name: get\n;\n", "'get' is empty"),
    ],
)
def test_a_text_that_is_not_made_of_named_queries_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"x\.sql: {message}"):
        Queries(text, source="x.sql")


def test_an_include_stands_for_a_fragment_at_its_indentation() -> None:
    """A line that includes a fragment becomes its text, and keeps the comma that ends it."""
    fragments = Queries("-- name: both\na,\nb;\n", source="fragments.sql")

    included = include("SELECT\n    -- include: both,\n    c", fragments)

    assert included == "SELECT\n    a,\n    b,\n    c"


def test_an_include_of_no_fragment_is_an_error_that_names_those_there_are() -> None:
    """A misspelt fragment is found when the file is read."""
    fragments = Queries("-- name: both\na;\n", source="fragments.sql")

    with pytest.raises(KeyError, match=r"fragments.sql has no query 'bth', only both"):
        include("-- include: bth", fragments)


def test_postgres_gets_a_shared_query_with_numbered_parameters() -> None:
    """A parameter may stand several times; casts, texts and comments stay as they are."""
    text = """SELECT ':a', "x:a", :b::text, :a, :b -- :a, and it's no text: :b
WHERE x = :c256"""

    made = Statement(postgres=text, sqlite=text).postgres

    assert made is not None
    assert made.names == ("b", "a", "c256")
    assert (
        made.text
        == """SELECT ':a', "x:a", $1::text, $2, $1 -- :a, and it's no text: :b
WHERE x = $3"""
    )


@pytest.mark.parametrize(
    ("text", "in_sqlite"),
    [
        ("SELECT :a::text::instance_status, '::text'", "SELECT :a, '::text'"),
        ("SELECT x.y::bytea AS y, :a::bytea", "SELECT CAST(x.y AS BLOB) AS y, :a"),
        ("WHERE x = ANY (:ids::text[])", "WHERE x IN (SELECT value FROM json_each(:ids))"),
        ("WHERE x IS DISTINCT FROM y", "WHERE x IS NOT y"),
        ("WHERE x IS NOT DISTINCT FROM y", "WHERE x IS y"),
        ('ORDER BY x COLLATE "C", "C"', 'ORDER BY x, "C"'),
        ("WHERE x = 1 -- it's ::text\nFOR NO KEY UPDATE OF i", "WHERE x = 1 -- it's ::text"),
        ("    WHERE x = 1\n    FOR SHARE\n) AS y", "    WHERE x = 1\n) AS y"),
    ],
)
def test_sqlite_gets_a_shared_query_without_what_it_does_not_have(
    text: str, in_sqlite: str
) -> None:
    assert Statement(postgres=text, sqlite=text).sqlite == in_sqlite


def test_a_shared_query_may_have_a_text_for_each_database() -> None:
    statement = shared("moves.sql")["associate"]

    assert statement.postgres is not None
    assert statement.sqlite is not None
    assert "jsonb" in statement.postgres.text
    assert "jsonb" not in statement.sqlite


def test_a_query_has_one_text_or_texts_for_single_databases() -> None:
    """A common text beside one for a database would hide which of them counts."""
    texts: dict[str, set[str]] = defaultdict(set)
    for file in (ADAPTERS / "transactions" / "sql").glob("*.sql"):
        for header in Queries(file.read_text(), source=file.name):
            name, _, database = header.partition(" for ")
            texts[f"{file.name} {name}"].add(database)

    assert [name for name, each in texts.items() if "" in each and len(each) > 1] == []


def asked(adapter: str) -> Mapping[str, set[str]]:
    """Tell the names that an adapter's modules ask for, by file, each as a regular expression."""
    found: dict[str, set[str]] = defaultdict(set)
    for module in (ADAPTERS / adapter).glob("*.py"):
        tree = ast.parse(module.read_text())
        files = dict(loaded(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) in files:
                found[files[ast.unparse(node.value)]].add(pattern(node.slice))
    return found


def loaded(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Tell by which expressions a module has the queries of which file."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[name], value=ast.Call() as call) if is_load(call):
                yield ast.unparse(name), ast.literal_eval(call.args[-1])
            case ast.Call() if is_load(node):
                yield ast.unparse(node), ast.literal_eval(node.args[-1])


def is_load(call: ast.Call) -> bool:
    return ast.unparse(call.func) in ("queries.load", "queries.shared")


def pattern(name: ast.expr) -> str:
    if isinstance(name, ast.JoinedStr):
        parts = (each.value if isinstance(each, ast.Constant) else None for each in name.values)
        return "".join("[a-z_]+" if part is None else re.escape(str(part)) for part in parts)
    return re.escape(str(ast.literal_eval(name)))


@pytest.mark.parametrize("adapter", ["postgres", "sqlite", "transactions"])
def test_each_name_asked_for_is_a_query_and_each_query_is_asked_for(adapter: str) -> None:
    """A misspelt name would show when its step is carried out, and a query left over never."""
    by_file = asked(adapter)
    files = {file.name for file in (ADAPTERS / adapter / "sql").glob("*.sql")} - {"fragments.sql"}

    assert by_file.keys() == files
    for file, patterns in by_file.items():
        is_shared = adapter == "transactions"
        names = set(shared(file) if is_shared else load(f"runtara_persistence.{adapter}", file))
        matched = {each: {name for name in names if re.fullmatch(each, name)} for each in patterns}
        assert [each for each, found in matched.items() if not found] == []
        assert names - set().union(*matched.values()) == set()
