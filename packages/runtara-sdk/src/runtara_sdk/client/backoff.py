"""How long to wait before trying again."""

import random

_FIRST = 0.05
_LONGEST = 2.0


def delay(failures: int) -> float:
    """
    Return the seconds to wait after this many failures in a row: 0 without a failure.

    The wait doubles from 50 ms to 2 s. A random part, up to half, is taken off, so that clients
    that failed at the same time do not come back at the same time.
    """
    if failures == 0:
        return 0.0
    # After ten doublings the wait is at its bound; a larger exponent would overflow a float.
    bound = min(_LONGEST, _FIRST * 2.0 ** min(failures - 1, 10))
    # The random part only spreads the load, so it need not be hard to guess.
    return bound * random.uniform(0.5, 1.0)
