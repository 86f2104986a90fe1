"""Bearer tokens: made once, kept as files of mode 0600 or nowhere at all, known to a service only by their hash.

A token changed on disk counts within `LOOK_S`, and the old one is void from then on: no restart.
"""

import asyncio
import hashlib
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from fleet_chassis.config import SupervisorConfig, TokenSettings
from fleet_chassis.home import FleetHome
from fleet_contracts import Role

LOOK_S = 1.0
_SCHEME = b"bearer "
_log = logging.getLogger(__name__)
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


def new_token(name: str) -> str:
    """`sup_<name>_<secret>`, 256 bits of it random."""
    return f"sup_{name}_{secrets.token_urlsafe(32)}"


def make_tokens(home: FleetHome, tokens: Mapping[str, TokenSettings]) -> None:
    """A token file for every name that has none yet, and of which not the hash alone is configured."""
    for name, settings in tokens.items():
        path = home.token(name)
        if settings.sha256 is None and not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{new_token(name)}\n")


class Tokens:
    """Hash of a token → identity: one dict lookup. Raises OSError at once when a token's file cannot be read."""

    def __init__(self, config: SupervisorConfig, home: FleetHome) -> None:
        self._config, self._home = config, home
        self._known = self._read()

    def identify(self, authorization: bytes) -> Identity | None:
        """Who sent this Authorization header; None for nobody we know."""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return None
        return self._known.get(hashlib.sha256(authorization[len(_SCHEME) :]).digest())

    async def follow(self) -> None:
        """Take up what changes on disk, for ever. A file that cannot be read leaves the tokens as they were."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                known = await asyncio.to_thread(self._read)
            except OSError as error:
                _log.error("the tokens stay as they were: %s", error)
                continue
            if known.keys() != self._known.keys():
                changed = {identity.name for key, identity in known.items() if key not in self._known}
                _log.info("tokens have changed: %s", ", ".join(sorted(changed)) or "one is gone")
                self._known = known

    def _read(self) -> dict[bytes, Identity]:
        known: dict[bytes, Identity] = {}
        for name, settings in self._config.tokens.items():
            key = self._key(name, settings)
            if key is not None:
                accounts = self._config.bots[settings.bot].accounts if settings.bot else settings.accounts
                known[key] = Identity(name, settings.role, settings.bot, None if accounts is None else frozenset(accounts))
        return known

    def _key(self, name: str, settings: TokenSettings) -> bytes | None:
        """The token's hash: the configured one, or that of its file; None while there is neither."""
        if settings.sha256 is not None:
            return bytes.fromhex(settings.sha256)
        try:
            token = self._home.token(name).read_bytes().strip()
        except FileNotFoundError:
            return None
        return hashlib.sha256(token).digest() if token else None
