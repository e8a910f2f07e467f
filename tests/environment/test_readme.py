"""The environment's README names the settings that there are."""

import re

from tests.architecture.house import ROOT

from runtara_environment.config import EnvironmentSettings
from runtara_protocol.server.settings import ServerSettings

_ROW = re.compile(r"^\| `((?:RUNTARA_|DATA_)[A-Z_]+)` \| ([^|]+) \|", re.MULTILINE)


def test_each_variable_is_named_once_with_its_default() -> None:
    """The rows are those settings that a core doesn't have as well."""
    text = (ROOT / "packages/runtara-environment/README.md").read_text()
    own = {
        str(info.validation_alias or f"RUNTARA_{name.upper()}"): (
            "required"
            if info.is_required()
            else "none"
            if info.default is None
            else str(info.default)
        )
        for name, info in EnvironmentSettings.model_fields.items()
        if name not in ServerSettings.model_fields
    }

    assert sorted((name, default.strip()) for name, default in _ROW.findall(text)) == sorted(
        own.items()
    )
