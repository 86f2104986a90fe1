"""Servers that the tests of a run share: started when first asked for, stopped at the end.

A test that kills or freezes one leaves it running and whole; one that wants a server of its own uses `parts.nats.running`.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from parts.nats import Nats, started
from parts.questdb import QuestDb, questdb

settings.register_profile("fleet", deadline=None)
settings.load_profile("fleet")  # a busy machine is no failure


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """One NATS server, provisioned."""
    with started(tmp_path_factory.mktemp("one_server")) as nats:
        yield nats


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """Three NATS servers in a cluster, three copies of every stream, provisioned."""
    with started(tmp_path_factory.mktemp("cluster"), 3) as nats:
        yield nats


@pytest.fixture(scope="session")
def one_questdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDb]:
    """One QuestDB, ready; its tables are those of whoever comes first, its rows told apart by account."""
    with questdb(tmp_path_factory.mktemp("one_questdb")) as server:
        yield server
