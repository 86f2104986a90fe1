"""The house looks the way ARCHITECTURE.md and STYLE.md say: rooms, file names, lengths, READMEs, entry points."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = [
    ROOT / folder
    for folder in (
        "libs/contracts/fleet_contracts",
        "libs/sdk/fleet_sdk",
        *PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
    )
]
SERVICES = sorted(path for path in (ROOT / "services").iterdir() if path.is_dir())
SOURCES = sorted(path for room in ROOMS for path in room.rglob("*.py"))
LINES_MAX = 300
LONGER_FOR_A_REASON = {
    "libs/sdk/fleet_sdk/bot.py": "the face of the SDK: every call a bot makes stands here once, and only hands on",
}
"""path → why it is better whole than split."""


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_has_the_same_file_names_as_every_other(service: Path) -> None:
    packages = [path for path in service.iterdir() if (path / "__init__.py").exists()]
    assert len(packages) == 1
    for name in ("__main__.py", "service.py", "settings.py", "core/__init__.py"):
        assert (packages[0] / name).exists(), name
    main = (packages[0] / "__main__.py").read_text()
    assert len(main.strip().splitlines()) <= 12
    wiring = (packages[0] / "service.py").read_text()
    assert "CONSUMES" in wiring
    assert "PRODUCES" in wiring


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_readme_is_short_and_ends_with_what_happens_if_it_dies(service: Path) -> None:
    lines = (service / "README.md").read_text().strip().splitlines()
    assert len(lines) <= 20
    assert "if it dies" in "\n".join(lines[-6:]).lower()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_is_of_readable_length_and_says_what_it_is(source: Path) -> None:
    text = source.read_text()
    name = str(source.relative_to(ROOT))
    assert len(text.splitlines()) <= LINES_MAX or name in LONGER_FOR_A_REASON
    assert not text.strip() or text.lstrip().startswith(('"""', 'r"""')), "no docstring"


def test_no_room_is_a_lumber_room() -> None:
    lumber = {"utils.py", "helpers.py", "common.py", "manager.py", "misc.py"}
    assert not [path for path in SOURCES if path.name in lumber]


def test_every_command_of_the_distribution_exists() -> None:
    for target in PROJECT["project"]["scripts"].values():
        module, function = target.split(":")
        path = module.replace(".", "/") + ".py"
        found = [room.parent / path for room in ROOMS if (room.parent / path).exists()]
        assert found, target
        assert re.search(rf"^(async )?def {function}\(", found[0].read_text(), re.MULTILINE), target


def test_the_lock_files_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert text.count("==") <= text.count("--hash=sha256:")


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
