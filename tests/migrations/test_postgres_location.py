import pytest

from runtara_migrations.location import InvalidLocation, PostgresLocation, parse


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:secret@host/db", "PostgreSQL host, database 'db'"),
        ("postgresql://u:secret@host:5433/db", "PostgreSQL host:5433, database 'db'"),
        ("postgresql://u:secret@a:1,b:2/db?target_session_attrs=read-write", "PostgreSQL a:1,b:2,"),
        ("postgresql://u:secret@/db?host=/run/postgresql", "PostgreSQL /run/postgresql, database"),
        ("postgresql://u:secret@%2Frun%2Fpg/db", "PostgreSQL /run/pg, database 'db'"),
        ("postgresql://u:secret@[::1]:5432/db", "PostgreSQL [::1]:5432, database 'db'"),
        ("postgresql:///db", "PostgreSQL on this machine, database 'db'"),
        (
            "postgresql://u:secret@host/db?sslmode=verify-full&sslrootcert=/ca.pem",
            "PostgreSQL host",
        ),
        ("postgresql://u@host/db?password=secret", "PostgreSQL host, database 'db'"),
    ],
)
def test_postgresql_is_spelled_as_asyncpg_does(url: str, shown: str) -> None:
    """What may be shown names hosts and database, and never the password."""
    place = parse(url)

    assert isinstance(place, PostgresLocation)
    assert place.url == url
    assert place.shown.startswith(shown)
    assert "secret" not in place.shown + repr(place)


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("postgresql:u:secret@host/db", "got no // after postgresql:"),
        ("postgresql://u:secret#@host/db", "got a # (in a password it is %23)"),
        ("postgresql://u:secret@host:0/db", "got a port other than 1 to 65535"),
        ("postgresql://u:secret/x@host/db", "got a port other than 1 to 65535"),
        ("postgresql://u:secret@a,b:port/db", "got a port other than 1 to 65535"),
        ("postgresql://u:secret@host/db?sslmode=on", "got 'on'"),
        ("postgresql://u:secret@host/db?target_session_attrs=first", "got 'first'"),
        ("postgresql://u:secret@host/db?target_session_attrs=standby", "got 'standby'"),
        ("postgresql://u:secret@/db?host=a,b,c&port=1,2", "each of the 3 hosts, got 2"),
        ("postgresql://u:secret@/db?host=a&port=secret", "got a port other than 1 to 65535"),
        ("postgresql://u:secret@host/db?secret", "other than name=value&... after the ?"),
    ],
)
def test_anything_else_is_refused_without_repeating_it(url: str, got: str) -> None:
    with pytest.raises(InvalidLocation) as refusal:
        parse(url)

    assert str(refusal.value).endswith(got)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("/db", ()),
        ("a/db", (("a", None),)),
        ("a:1,b/db?port=9", (("a", 1), ("b", None))),
        ("[::1]:5433,[fe80::2]/db", (("::1", 5433), ("fe80::2", None))),
        ("%2Frun%2Fpg/db?host=b", (("/run/pg", None),)),
        ("/db?host=/run/pg,a:7,[::1]", (("/run/pg", None), ("a", 7), ("::1", None))),
        ("/db?host=/run/pg,a&port=1,2", (("/run/pg", 1), ("a", 2))),
        ("/db?host=/run/pg,a&port=6", (("/run/pg", 6), ("a", 6))),
    ],
)
def test_the_hosts_are_those_asyncpg_would_ask(
    address: str, hosts: tuple[tuple[str, int | None], ...]
) -> None:
    place = parse(f"postgresql://u:secret@{address}")

    assert isinstance(place, PostgresLocation)
    assert place.hosts == hosts
