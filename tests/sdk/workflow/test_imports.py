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


def test_errors_bring_no_engine_and_names_stay_what_they_are() -> None:
    """`workflow` is the decorator, though the package of this name is imported with it."""
    code = """
import sys
import runtara_sdk
assert "runtara_sdk.workflow" not in sys.modules
import runtara_sdk.workflow.errors
from runtara_sdk import workflow
assert workflow is runtara_sdk.workflow is sys.modules["runtara_sdk.workflow"].workflow
assert all(getattr(runtara_sdk, name).__name__ for name in set(runtara_sdk.__all__) - {"logger"})
assert set(runtara_sdk.__all__) <= set(dir(runtara_sdk))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_none_is_reported() -> None:
    code = "from runtara_sdk import stp"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "cannot import name 'stp' from 'runtara_sdk'" in run.stderr
