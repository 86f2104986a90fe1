"""What the gateway's HTTP door is measured against: `python bench/apps.py echo|fastapi PORT`.

`echo`: bare ASGI on uvicorn, httptools and uvloop; reads the body, sends 443 constant bytes. `fastapi`: the usual FastAPI route
with pydantic models in and out, and the real decision core without a journal.
"""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn

sys.path.insert(0, str(Path(__file__).parent))
ANSWER = b'{"decision":"ALLOW","pad":"' + b"x" * 414 + b'"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The least an ASGI app can do."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


def fastapi_app() -> Any:
    """POST an order, get the decision; every default left as it is."""
    from core_cases import led_account
    from fastapi import FastAPI

    from fleet_contracts import OrderDecision, OrderRequest
    from risk_gateway.core.account import Asked, NewDecision

    app, account = FastAPI(), led_account()

    @app.post("/api/v1/risk/evaluate")
    async def evaluate(order: OrderRequest) -> OrderDecision:
        judged = account.judge(Asked(order, "qe1", "http", datetime.now(UTC)))
        assert isinstance(judged, NewDecision)
        assert isinstance(judged.fact.event, OrderDecision)
        assert judged.fact.event.qty == Decimal("0.010")
        return judged.fact.event

    return app


if __name__ == "__main__":
    uvicorn.run(
        echo if sys.argv[1] == "echo" else fastapi_app(),
        port=int(sys.argv[2]),
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="warning",
    )
