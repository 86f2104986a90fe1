"""What a trading bot installs to be supervised: ask before every order, report what happened, obey.

It does not decide (the gateway does), and it holds no exchange keys (the bot does, best behind a `GatedExchange`).
"""

from fleet_contracts import AckState, BotCommand, Mode, OrderRequest, SignalContext, SignalReview
from fleet_sdk.bot import Bot
from fleet_sdk.core.local import FailPolicy, LocalReason
from fleet_sdk.core.state import BotState
from fleet_sdk.core.verdict import Verdict
from fleet_sdk.errors import (
    BusAway,
    InvalidEvent,
    InvalidOrder,
    NoDecision,
    SdkError,
    SpoolError,
    SpoolFull,
    SpoolInUse,
    TooLarge,
)
from fleet_sdk.gated_exchange import Exchange, Gate, GatedExchange, Submission, SyncExchange, SyncGate, SyncGatedExchange
from fleet_sdk.settings import BotSettings
from fleet_sdk.sync_bot import SyncBot
from fleet_sdk.tsdb_writer import TsdbWriter

__all__ = [
    "AckState",
    "Bot",
    "BotCommand",
    "BotSettings",
    "BotState",
    "BusAway",
    "Exchange",
    "FailPolicy",
    "Gate",
    "GatedExchange",
    "InvalidEvent",
    "InvalidOrder",
    "LocalReason",
    "Mode",
    "NoDecision",
    "OrderRequest",
    "SdkError",
    "SignalContext",
    "SignalReview",
    "SpoolError",
    "SpoolFull",
    "SpoolInUse",
    "Submission",
    "SyncBot",
    "SyncExchange",
    "SyncGate",
    "SyncGatedExchange",
    "TooLarge",
    "TsdbWriter",
    "Verdict",
]
