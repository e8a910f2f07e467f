"""How long to wait before trying again."""

import random

_FIRST = 0.05
_LONGEST = 2.0


def delay(failures: int) -> float:
    """
    Return the seconds to wait after so many failures in a row: none before the first.

    They double from 50 ms to 2 s, less a random part of up to half, so that clients that failed
    together do not come back together.
    """
    if failures == 0:
        return 0.0
    # Beyond ten doublings the bound holds anyway; a larger exponent would overflow a float.
    bound = min(_LONGEST, _FIRST * 2.0 ** min(failures - 1, 10))
    # Not a secret: it only spreads the load.
    return bound * random.uniform(0.5, 1.0)
