"""What a configuration file that is wrong is told: file, line, place, and what was probably meant."""

import shutil
from pathlib import Path

import pytest

from fleet_chassis.config import ConfigError, load_risk
from parts.gateway import ROOT


def risk_with(folder: Path, old: str, new: str) -> Path:
    path = folder / "risk.yaml"
    shutil.copyfile(ROOT / "deploy" / "config" / "risk.yaml", path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_misspelt_limit_is_named_with_its_line_and_what_was_meant(tmp_path: Path) -> None:
    path = risk_with(tmp_path, "max_open_orders", "max_open_ordrs")
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "max_open_ordrs" in text)
    with pytest.raises(ConfigError) as told:
        load_risk(path)
    assert str(told.value).startswith(f"{path}:{line}: accounts.main.limits.max_open_ordrs: there is no such key")
    assert "did you mean max_open_orders?" in str(told.value)


def test_a_missing_safety_limit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"accounts\.main\.limits\.max_leverage: is required$"):
        load_risk(risk_with(tmp_path, "      max_leverage: 3\n", ""))


@pytest.mark.parametrize("content", [b"accounts: # caf\xc3", b"a: \x00", b"accounts: 2026-13-45", b"[" * 5000])
def test_a_file_that_is_no_text_or_no_yaml_is_an_error_of_the_configuration(tmp_path: Path, content: bytes) -> None:
    """A half-written risk.shadow.yaml must not end the gateway that looks at it."""
    path = tmp_path / "risk.shadow.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="this is no"):
        load_risk(path)


def test_a_value_that_is_none_is_said_without_the_words_of_a_library(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"max_leverage: must be greater than 0$"):
        load_risk(risk_with(tmp_path, "max_leverage: 3", "max_leverage: -3"))


def test_a_file_without_content_is_said(tmp_path: Path) -> None:
    path = tmp_path / "risk.yaml"
    path.touch()
    with pytest.raises(ConfigError, match=r"risk\.yaml:1: the file: has to have keys and values, as in deploy/config$"):
        load_risk(path)
