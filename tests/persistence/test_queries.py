import pytest

from runtara_persistence.queries import Queries, include, load


def test_each_query_is_found_by_its_name() -> None:
    text = "-- name: save.find\nSELECT 1; -- one\n;\n\n-- name: get\n-- why\nSELECT 2\n"

    queries = Queries(text, source="x.sql")

    assert queries["save.find"] == "SELECT 1; -- one\n"
    assert queries["get"] == "-- why\nSELECT 2"


def test_an_unknown_name_is_refused_naming_the_known_ones() -> None:
    queries = load("runtara_persistence.sqlite", "checkpoints.sql")

    with pytest.raises(KeyError, match=r"checkpoints.sql has no query 'sav', only save.find, "):
        queries["sav"]


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
