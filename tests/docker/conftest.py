"""Without a Docker daemon every test of this folder is skipped; with one the image is built once for all of them."""

import pytest

from parts.docker import IMAGE, daemon_answers, docker


@pytest.fixture(scope="session", autouse=True)
def image() -> str:
    """The fleet's image as the Dockerfile makes it now."""
    if not daemon_answers():
        pytest.skip("no Docker daemon answers")
    docker("build", "--quiet", "--tag", IMAGE, ".")
    return IMAGE
