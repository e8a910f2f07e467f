"""The sample runs as it reads."""

from tests.runtara.sample import Receipt, main

from runtara import WorkflowCancelled


async def test_it_does_what_it_says() -> None:
    assert await main("sqlite::memory:") == [
        False,
        "waiting for approval",
        Receipt("17", ["parcel of 17", "note of 17"], "Ann", False),
        ("Bob",),
        "order-18",
        (("Bob",), "charge#1"),
        WorkflowCancelled,
        "Ann",
        42,
    ]
