"""Bearer tokens: made once, kept as files of mode 0600, known to a service only by their hash."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet_chassis.config import SupervisorConfig
from fleet_chassis.home import FleetHome
from fleet_contracts import Role

RANKS = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.APPROVER: 3, Role.ADMIN: 4}
"""Human roles, each with the rights of those before it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token speaks for. `accounts` None: all of them."""

    name: str
    role: Role
    bot: str | None
    accounts: frozenset[str] | None

    def at_least(self, role: Role) -> bool:
        """Whether a human role suffices; a bot's never does."""
        return RANKS.get(self.role, 0) >= RANKS[role]

    def may_see(self, account: str) -> bool:
        return self.accounts is None or account in self.accounts


def make_token(path: Path, name: str) -> None:
    """Write a new token `sup_<name>_<secret>`, unless the file exists."""
    if path.exists():
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"sup_{name}_{secrets.token_urlsafe(32)}\n")


def make_tokens(home: FleetHome, names: Iterable[str]) -> None:
    """A token for every name that has none yet."""
    for name in names:
        make_token(home.token(name), name)


class Tokens:
    """Hash of `Bearer <token>` → identity: one dict lookup on the raw header."""

    def __init__(self, known: Mapping[bytes, Identity]) -> None:
        self._known = known

    def identify(self, authorization: bytes) -> Identity | None:
        """Who sent this Authorization header; None for nobody we know."""
        return self._known.get(_hash(authorization))


def load_tokens(config: SupervisorConfig, home: FleetHome) -> Tokens:
    """The tokens of supervisor.yaml whose files exist. Raises OSError when a file cannot be read."""
    known: dict[bytes, Identity] = {}
    for name, settings in config.tokens.items():
        path = home.token(name)
        if not path.exists():
            continue
        accounts = config.bots[settings.bot].accounts if settings.bot else settings.accounts
        identity = Identity(name, settings.role, settings.bot, None if accounts is None else frozenset(accounts))
        known[_hash(f"Bearer {path.read_text().strip()}".encode())] = identity
    return Tokens(known)


def _hash(header: bytes) -> bytes:
    return hashlib.sha256(header).digest()
