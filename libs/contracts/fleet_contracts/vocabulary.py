"""The closed sets of the wire. A value outside its set makes the line bad; sets only grow."""

from enum import StrEnum


class Stream(StrEnum):
    """Where an event is stored."""

    FLEET = "FLEET"
    HEARTBEAT = "HEARTBEAT"
    MARKET = "MARKET"
    DEAD = "DEAD"
    SCHEDULE = "SCHEDULE"


class DeadReason(StrEnum):
    """Why a line is bad."""

    NOT_JSON = "NOT_JSON"
    INVALID = "INVALID"
    SUBJECT_MISMATCH = "SUBJECT_MISMATCH"
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    BAD_TS = "BAD_TS"
    REFUSED_BY_DATABASE = "REFUSED_BY_DATABASE"
    TOO_LARGE = "TOO_LARGE"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    STOP_LIMIT = "STOP_LIMIT"


class OrderStatus(StrEnum):
    WORKING = "WORKING"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class Decision(StrEnum):
    ALLOW = "ALLOW"
    DENY = "DENY"


class TradingState(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Mode(StrEnum):
    OFF = "off"
    PAPER = "paper"
    DEMO = "demo"
    LIVE = "live"


class Stance(StrEnum):
    OK = "OK"
    CAUTION = "CAUTION"
    AVOID = "AVOID"


class AckState(StrEnum):
    ACCEPTED = "ACCEPTED"
    DONE = "DONE"
    FAILED = "FAILED"


class Command(StrEnum):
    """What a bot can be told."""

    CLOSE_POSITIONS = "CLOSE_POSITIONS"
    CANCEL_ORDERS = "CANCEL_ORDERS"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    SET_MODE = "SET_MODE"
    SET_PROFILE = "SET_PROFILE"
    REPORT_ORDER = "REPORT_ORDER"
    STOP = "STOP"


class ProcessState(StrEnum):
    STARTED = "STARTED"
    STOPPED = "STOPPED"
    EXITED = "EXITED"
    RESTARTED = "RESTARTED"
    CRASH_LOOP = "CRASH_LOOP"


class Liveness(StrEnum):
    UP = "UP"
    LATE = "LATE"
    DOWN = "DOWN"
    STALLED = "STALLED"


class Effect(StrEnum):
    NONE = "none"
    RESIZE = "resize"
    SKIP = "skip"


class ReviewSource(StrEnum):
    LLM = "llm"
    CACHE = "cache"
    DISABLED = "disabled"
    BUDGET = "budget"
    BREAKER = "breaker"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    REFUSAL = "refusal"
    FALLBACK = "fallback"


class RiskAdvice(StrEnum):
    OK = "OK"
    LOWER_RISK = "LOWER_RISK"
    SWITCH_TO_PAPER = "SWITCH_TO_PAPER"
    PAUSE_TRADING = "PAUSE_TRADING"


class Action(StrEnum):
    PAUSE_TRADING = "PAUSE_TRADING"
    BLOCK_ENTRIES = "BLOCK_ENTRIES"
    LOWER_RISK = "LOWER_RISK"
    SWITCH_TO_PAPER = "SWITCH_TO_PAPER"
    SET_MODE = "SET_MODE"
    SET_STRATEGY_PROFILE = "SET_STRATEGY_PROFILE"
    SET_LEVERAGE_CAP = "SET_LEVERAGE_CAP"
    RUN_META_SUPERVISOR = "RUN_META_SUPERVISOR"
    HALT_ALL = "HALT_ALL"


class Direction(StrEnum):
    REDUCE = "reduce"
    RAISE = "raise"
    NEUTRAL = "neutral"


class ProposalState(StrEnum):
    PROPOSED = "PROPOSED"
    CONFIRMED = "CONFIRMED"
    APPLYING = "APPLYING"
    APPLIED = "APPLIED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class AccountClock(StrEnum):
    """`wall`: the machine's time of day. `event`: the `ts` of the account's bot events (simulations only)."""

    WALL = "wall"
    EVENT = "event"


class Role(StrEnum):
    """Token roles, weakest first among the humans; `bot` stands apart."""

    BOT = "bot"
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"
