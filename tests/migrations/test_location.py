import pytest

from runtara_migrations.location import InvalidLocation, SqliteLocation, parse


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:x.db", "x.db"),
        ("sqlite:/var/x.db", "/var/x.db"),
        ("sqlite://x.db", "x.db"),
        ("sqlite:///var/x.db", "/var/x.db"),
        ("sqlite://a/b/x.db?mode=rwc", "a/b/x.db"),
        ("sqlite:x.db?", "x.db"),
        ("sqlite:with%20space%3F.db", "with space?.db"),
        ("sqlite::memory:", ":memory:"),
        ("sqlite://:memory:", ":memory:"),
        ("sqlite:%3Amemory%3A", "./:memory:"),
    ],
)
def test_sqlite_is_spelled_as_sqlx_does(url: str, path: str) -> None:
    assert parse(url) == SqliteLocation(path)


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("x.db", "got a text without a scheme"),
        ("", "got a text without a scheme"),
        ("mysql://root:secret@host/x", "got the scheme 'mysql'"),
        ("SQLITE:x.db", "got the scheme 'SQLITE'"),
        ("sqlite:", "got no path"),
        ("sqlite://?mode=rwc", "got no path"),
        ("sqlite:x.db?mode=ro", "got mode=ro"),
        ("sqlite:x.db?mode", "got mode="),
        ("sqlite:x.db?mode=rwc&cache=shared", "got the parameter 'cache'"),
        ("sqlite:a%00b", "got a path with a NUL character"),
        ("sqlite:%FF", "got a path that is not UTF-8"),
    ],
)
def test_anything_else_is_refused_saying_what_is_taken(url: str, got: str) -> None:
    with pytest.raises(InvalidLocation) as caught:
        parse(url)

    assert "takes sqlite:PATH" in str(caught.value)
    assert str(caught.value).endswith(got)
    assert "secret" not in str(caught.value)
