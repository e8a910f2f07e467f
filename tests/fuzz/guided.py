"""
Coverage-guided fuzzing: `python -m tests.fuzz.guided frames|router -max_total_time=60`.

It ends with 0 unless an input is found that does what none should; atheris is in the dependency
group `fuzz`.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

# Not installed where types are checked.
atheris: Any = import_module("atheris")

with atheris.instrument_imports(include=["runtara_protocol", "runtara_server", "runtara_domain"]):
    requests: Any = import_module("tests.fuzz.requests")


def frames(data: bytes) -> None:
    """Decode the bytes as they are, and cut in two."""
    half = len(data) // 2
    assert requests.decoded([data]) == requests.decoded([data[:half], data[half:]])


def router(data: bytes) -> None:
    """Answer a request of these bytes, and one that begins like a valid one."""
    valid = requests.VALID[len(data) % len(requests.VALID)]
    for response in requests.answers(data, valid[: len(valid) // 2] + data, valid + data):
        assert not requests.is_bug(response), response


TARGETS: dict[str, Callable[[bytes], None]] = {"frames": frames, "router": router}


def main() -> None:
    """Fuzz the target named first; the rest is libFuzzer's."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
