"""Where the core is said to be, and what is said where it is not."""

from pathlib import Path

import pytest

from runtara import ConfigurationError, serve
from runtara.locating import Location, Way, locate, tenant

ADDRESS = {"RUNTARA_ENVIRONMENT_ADDR": "localhost:8002"}
DATABASE = {"RUNTARA_DATABASE_URL": "sqlite:shop.db"}


@pytest.mark.parametrize(
    ("where", "variables", "expected"),
    [
        ("host:1", DATABASE, Location(Way.ENVIRONMENT, "host:1", "host:1")),
        ("sqlite:a.db", ADDRESS, Location(Way.DATABASE, "sqlite:a.db", "sqlite:a.db")),
        (None, ADDRESS, Location(Way.ENVIRONMENT, "localhost:8002", "localhost:8002")),
        (None, DATABASE, Location(Way.DATABASE, "sqlite:shop.db", "sqlite:shop.db")),
    ],
)
def test_an_argument_wins_over_a_variable(
    where: str | None, variables: dict[str, str], expected: Location, tmp_path: Path
) -> None:
    (tmp_path / ".runtara").mkdir()

    assert locate(where, variables=variables, folder=tmp_path) == expected


def test_a_folder_of_a_parent_comes_last(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / ".runtara").mkdir()

    url = f"sqlite:{tmp_path}/.runtara/core.db"
    assert locate(variables={}, folder=below) == Location(Way.DATABASE, url, url)


def test_a_password_is_not_shown() -> None:
    place = locate("postgresql://ann:secret@db/shop", variables={})

    assert place.value == "postgresql://ann:secret@db/shop"
    assert "secret" not in place.shown


def test_two_variables_are_one_too_many() -> None:
    with pytest.raises(ConfigurationError, match="RUNTARA_ENVIRONMENT_ADDR and RUNTARA_DATABASE"):
        locate(variables={**ADDRESS, **DATABASE})


def test_nothing_said_says_what_to_say(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="set RUNTARA_DATABASE_URL=sqlite:"):
        locate(variables={}, folder=tmp_path)


@pytest.mark.parametrize("wrong", ["mysql://x", "shop.db", "", "host:port", "sqlite:a?mode=ro"])
def test_what_is_neither_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"connect\(\): "):
        locate(wrong, variables={})


def test_the_tenant_is_given_or_named_or_the_default() -> None:
    variables = {"RUNTARA_TENANT_ID": "acme"}

    assert (tenant("t", variables), tenant(None, variables), tenant(None, {})) == (
        "t",
        "acme",
        "default",
    )
    with pytest.raises(ConfigurationError, match="RUNTARA_TENANT_ID"):
        tenant("x" * 1025, {})


async def test_a_worker_serves_something() -> None:
    with pytest.raises(ConfigurationError, match="at least one workflow"):
        await serve(where="sqlite::memory:")
