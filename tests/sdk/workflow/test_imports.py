"""What importing the SDK brings along."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_importing_the_sdk_loads_neither_transport_nor_codec() -> None:
    """They come when they are used first."""
    code = "import json, sys, runtara_sdk; print(json.dumps([*sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = {name.split(".")[0] for name in json.loads(run.stdout)}

    assert loaded.isdisjoint({"aioquic", "cryptography", "google", "pydantic", "pydantic_core"})
    assert "runtara_protocol" not in loaded
