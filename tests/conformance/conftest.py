"""Whole programs run here, and none of them is measured for coverage."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _programs_are_unmeasured(unmeasured: None) -> None:
    """Ask for it in every module of this folder."""
