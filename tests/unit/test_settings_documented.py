"""docs/settings.md names every setting with the default it has, and no other."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from outdial.settings import Settings, variable_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) ?\| .+ \|$", re.MULTILINE)
ROWS = dict(ROW.findall((ROOT / "docs/settings.md").read_text(encoding="utf-8")))
IN_WORDS = {"OUTDIAL_POD_PUBLIC_URL", "OUTDIAL_SECRET_KEY", "OUTDIAL_POD_ADDRESS"}
"""Empty ones that follow from others: the page says from which."""


def test_every_setting_stands_there_and_no_other() -> None:
    assert sorted(ROWS) == sorted(map(variable_name, Settings.model_fields))


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_default_is_the_one_that_is_told(field: str) -> None:
    default = Settings.model_fields[field].default
    told = ROWS[variable_name(field)]
    if variable_name(field) in IN_WORDS:
        assert told
        assert default in ("", SecretStr(""), PydanticUndefined)
    else:
        value = default.get_secret_value() if isinstance(default, SecretStr) else default
        assert told.strip("`") == (f"{value:g}" if isinstance(value, float) else str(value))


def test_the_example_names_settings_that_exist() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    compose_alone = {"POSTGRES_PASSWORD", "FLOWER_PASSWORD"}
    named = set(re.findall(r"^#? ?([A-Z_]+)=", text, re.MULTILINE)) - compose_alone
    assert named <= set(map(variable_name, Settings.model_fields))
