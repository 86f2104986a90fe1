"""The configuration files: supervisor.yaml and risk.yaml, validated at start. Every error names file and line."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet_contracts import RESERVED_SOURCES, AccountClock, Mode, Role
from fleet_contracts.envelope import Token
from fleet_contracts.risk_config import RiskConfig, UnenforcedLimit, refuse_unenforced
from fleet_contracts.subjects import FLEET_ACCOUNT

M = TypeVar("M", bound=BaseModel)
SUPERVISOR, RISK = "supervisor.yaml", "risk.yaml"


class ConfigError(ValueError):
    """A configuration file cannot be used; the text is one line: file, line, what, what to do."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AccountSettings(_Closed):
    """`clock: event` is for simulations; `equity_source` is the one bot whose EQUITY counts."""

    clock: AccountClock = AccountClock.WALL
    equity_source: Token


class BotSettings(_Closed):
    """The accounts a bot may trade, and its mode."""

    accounts: list[Token] = Field(min_length=1)
    mode: Mode


class TokenSettings(_Closed):
    """Whose token it is. A bot's token acts for `bot`; a human's for every account unless `accounts` names some.

    `sha256`: the token itself is kept elsewhere, and this fleet knows only its hash.
    """

    role: Role
    bot: Token | None = None
    accounts: list[Token] | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class SupervisorConfig(_Closed):
    """supervisor.yaml."""

    accounts: dict[Token, AccountSettings] = Field(min_length=1)
    bots: dict[Token, BotSettings]
    tokens: dict[Token, TokenSettings]


@dataclass(frozen=True, slots=True)
class Config:
    """Both files, each valid and agreeing with the other."""

    supervisor: SupervisorConfig
    risk: RiskConfig


def load_config(folder: Path) -> Config:
    """Read and check the configuration folder. Raises `ConfigError`."""
    supervisor = _load(folder / SUPERVISOR, SupervisorConfig)
    risk = load_risk(folder / RISK)
    _agree(supervisor, risk, folder)
    return Config(supervisor, risk)


def load_risk(path: Path) -> RiskConfig:
    """Read and check a risk.yaml by itself. Raises `ConfigError`."""
    risk = _load(path, RiskConfig)
    try:
        refuse_unenforced(risk)
    except UnenforcedLimit as error:
        raise ConfigError(f"{path}: {error}") from error
    return risk


def _agree(supervisor: SupervisorConfig, risk: RiskConfig, folder: Path) -> None:
    file = folder / SUPERVISOR
    for complaint in (*_accounts(supervisor, risk), *_bots(supervisor), *_tokens(supervisor)):
        raise ConfigError(f"{file}: {complaint}")


def _accounts(supervisor: SupervisorConfig, risk: RiskConfig) -> Iterator[str]:
    for name in sorted(supervisor.accounts.keys() ^ risk.accounts.keys()):
        yield f"account {name!r} stands in only one of {SUPERVISOR} and {RISK}; add it to the other"
    if FLEET_ACCOUNT in supervisor.accounts:
        yield f"the account name {FLEET_ACCOUNT!r} is reserved; choose another"
    for name, account in supervisor.accounts.items():
        if account.equity_source not in supervisor.bots:
            yield f"accounts.{name}.equity_source: there is no bot {account.equity_source!r}; add it under bots"


def _bots(supervisor: SupervisorConfig) -> Iterator[str]:
    for name, bot in supervisor.bots.items():
        if name in RESERVED_SOURCES:
            yield f"bots.{name}: this name is reserved; choose another"
        for account in bot.accounts:
            known = supervisor.accounts.get(account)
            if known is None:
                yield f"bots.{name}: there is no account {account!r}; add it under accounts"
            elif known.clock is AccountClock.EVENT and bot.mode in (Mode.DEMO, Mode.LIVE):
                yield f"bots.{name}: mode {bot.mode} needs clock: wall; account {account!r} has clock: event (simulations only)"


def _tokens(supervisor: SupervisorConfig) -> Iterator[str]:
    for name, token in supervisor.tokens.items():
        if (token.role is Role.BOT) != (token.bot is not None):
            yield f"tokens.{name}: role bot names its bot, and only role bot does"
        elif token.bot is not None and token.bot not in supervisor.bots:
            yield f"tokens.{name}: there is no bot {token.bot!r}; add it under bots"


_SAID = {
    "extra_forbidden": "there is no such key",
    "missing": "is required",
    "model_type": "has to have keys and values, as in deploy/config",
}


def _load(path: Path, model: type[M]) -> M:
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); FLEET_CONFIG names the folder") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: this is no UTF-8 text (byte {error.start})") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: this is no YAML ({' '.join(str(error).split())})") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        said = _SAID.get(first["type"], first["msg"].removeprefix("Value error, "))
        missing = [problem["loc"] for problem in problems if problem["type"] == "missing"]
        hint = _meant(first["loc"], missing) if first["type"] == "extra_forbidden" else ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(f"{path}:{_line(node, first['loc'])}: {place}: {said}{hint}{more}") from error


def _meant(place: tuple[int | str, ...], missing: list[tuple[int | str, ...]]) -> str:
    """What a key nobody knows was probably meant to be: one that is missing beside it."""
    beside = [str(other[-1]) for other in missing if other[:-1] == place[:-1]]
    close = get_close_matches(str(place[-1]), beside, 1) if place else []
    return f"; did you mean {close[0]}?" if close else ""


def _line(node: Any, place: tuple[int | str, ...]) -> int:
    """The line of a place in a YAML document, or of the nearest thing around it."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line
