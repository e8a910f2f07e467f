"""How long a client waits before it tries again."""

import pytest

from runtara_sdk.client.backoff import delay


def test_the_first_try_is_not_waited_for() -> None:
    """Nothing has failed yet."""
    assert delay(0) == 0


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 0.05), (2, 0.1), (3, 0.2), (6, 1.6), (7, 2.0), (10_000, 2.0)]
)
def test_each_failure_doubles_the_wait_up_to_two_seconds(failures: int, longest: float) -> None:
    """Less a random part of up to half, so that clients spread."""
    waits = {delay(failures) for _ in range(50)}

    assert len(waits) > 1
    assert longest / 2 <= min(waits)
    assert max(waits) <= longest
