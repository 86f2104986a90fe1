"""The order door as the documentation shows it. Orders never come here: hot_route.py answers them before any router."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query

from fleet_chassis.problems import MEDIA_TYPE, Problem
from fleet_contracts import OrderDecision
from fleet_contracts.http import ProblemDetails

_PROBLEM: dict[str, Any] = {"model": ProblemDetails, "content": {MEDIA_TYPE: {}}}
DECIDED = {
    "event_type": "ORDER_DECISION",
    "event_id": "1c1812cb-b957-599a-9512-e0bae151f3fb",
    "order_id": "qe1-000123",
    "decision": "DENY",
    "reason": "ORDER_NOTIONAL_TOO_LARGE",
    "message": "order notional 430.01 USDT is over the limit of 400 USDT",
    "check": "max_order_notional",
    "value": "430.01",
    "limit": "400",
    "allowed_qty": "0",
    "valid_until": "2026-01-05T10:00:05.123456Z",
    "duplicate": False,
}
"""An answer as the documentation shows it; a real one repeats the order and says more."""
router = APIRouter()


@router.post(
    "/risk/evaluate",
    operation_id="evaluate_order",
    tags=["order"],
    summary="May this order be sent?",
    responses={
        200: {
            "model": OrderDecision,
            "description": "ALLOW or DENY, stored",
            "content": {"application/json": {"example": DECIDED}},
        },
        400: {**_PROBLEM, "description": "not JSON"},
        413: {**_PROBLEM, "description": "over 1 MB"},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "example": {
                        "order_id": "qe1-000123",
                        "symbol": "BTC-PERP",
                        "side": "BUY",
                        "order_type": "LIMIT",
                        "qty": "0.010",
                        "price": "43000.5",
                    }
                }
            },
        }
    },
)
async def evaluate(
    x_deadline_ms: Annotated[int | None, Header(ge=1, le=60_000, description="answer within, default 250")] = None,
    account: Annotated[str | None, Query(include_in_schema=False)] = None,
) -> dict[str, Any]:
    """200 with an ORDER_DECISION for ALLOW and for DENY; a bot's token. (Served before this router is reached.)"""
    raise Problem(404, "NOT_FOUND", "this route is served elsewhere")
