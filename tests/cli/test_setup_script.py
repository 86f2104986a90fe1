"""deploy/setup.sh finds a Python that really runs, whatever stands on the PATH, and says in one line what is wrong."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "deploy" / "setup.sh"
REFUSES = "#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n"
WORKS = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
TOO_OLD = f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9); exec(sys.argv[2])" "$@"\n'
NO_VENV = f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec "{sys.executable}" "$@"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return tmp_path


def shim(machine: Path, folder: str, name: str, text: str) -> Path:
    path = machine / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def find(machine: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(folder) for folder in sorted(machine.iterdir()) if folder.is_dir())
    return subprocess.run(
        ["/bin/sh", str(SETUP), "--find"],
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_the_first_python_that_runs_is_taken(machine: Path) -> None:
    good = shim(machine, "a", "python3", WORKS)
    assert find(machine).stdout.strip() == str(good)


def test_a_shim_that_refuses_is_skipped_even_when_the_same_name_runs_further_on(machine: Path) -> None:
    shim(machine, "a", "python3", REFUSES)
    good = shim(machine, "b with space", "python3", WORKS)
    assert find(machine).stdout.strip() == str(good)


def test_another_name_is_found_when_python3_is_too_old(machine: Path) -> None:
    shim(machine, "a", "python3", TOO_OLD)
    good = shim(machine, "a", "python3.12", WORKS)
    assert find(machine).stdout.strip() == str(good)


def test_a_python_without_venv_is_passed_over_for_one_that_has_it(machine: Path) -> None:
    shim(machine, "a", "python3", NO_VENV)
    good = shim(machine, "b", "python3", WORKS)
    assert find(machine).stdout.strip() == str(good)


def test_only_a_python_without_venv_is_an_error_that_says_what_to_install(machine: Path) -> None:
    shim(machine, "a", "python3", NO_VENV)
    found = find(machine)
    assert found.returncode == 1
    assert "has no venv module; install it" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_no_python_at_all_is_an_error_that_says_what_to_do(machine: Path) -> None:
    shim(machine, "a", "python3", REFUSES)
    shim(machine, "a", "python3.11", TOO_OLD)
    found = find(machine)
    assert found.returncode == 1
    assert "no Python 3.11 or newer runs here; install one, or name it" in found.stderr


def test_a_named_python_is_taken_and_a_named_one_that_fails_is_an_error(machine: Path) -> None:
    shim(machine, "a", "python3", WORKS)
    good = shim(machine, "elsewhere", "my python", WORKS)
    assert find(machine, PYTHON=str(good)).stdout.strip() == str(good)
    bad = shim(machine, "elsewhere", "bad", REFUSES)
    found = find(machine, PYTHON=str(bad))
    assert found.returncode == 1
    assert "does not run, or is older than 3.11" in found.stderr


def test_python_too_old_for_the_checks_shim_really_reports_old(machine: Path) -> None:
    old = shim(machine, "a", "python3", TOO_OLD)
    asked = subprocess.run([str(old), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False, timeout=20)
    assert asked.returncode == 1


@pytest.mark.parametrize(
    ("pip_says", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        (
            "WARNING: Retrying after connection broken: Failed to establish a new connection",
            "cannot reach the Python package index",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "is not the one that was locked"),
        ("ERROR: [Errno 13] Permission denied: 'x'", "may not write here"),
        ("ERROR: something new", "installing failed; the reason stands at the end of"),
    ],
)
def test_a_failed_installation_is_one_line_that_says_what_to_do(machine: Path, pip_says: str, told: str) -> None:
    python = machine / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncase "$*" in *install*) echo "{pip_says}"; exit 1;; *) exit 0;; esac\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(SETUP), "requirements.lock"], cwd=machine, capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
