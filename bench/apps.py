"""What the gateway is measured against: `python bench/apps.py echo|fastapi|hot PORT`, `nats-echo URL SEED`, or `one-by-one`.

`echo`: bare ASGI on uvicorn, httptools and uvloop; reads the body, sends 443 constant bytes. `fastapi`: the usual FastAPI
route with pydantic models in and out, and the real decision core without a journal. `hot`: the gateway's own HTTP protocol,
reader, core and writer, answering at once. `nats-echo`: nats-py that answers each request with the same 443 bytes.
`one-by-one`: the gateway itself, told by its environment, with groups of one decision.
"""

import asyncio
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

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


def hot_protocol_without_journal() -> Any:
    """What is left of the gateway's HTTP door when nothing is stored."""
    from core_cases import led_account

    from fleet_chassis.http_hot import hot_protocol
    from risk_gateway.core.account import Asked
    from risk_gateway.decision_line import write
    from risk_gateway.quick_order import quick_order

    account = led_account()

    def evaluate(headers: Any, body: bytes, reply: Any) -> None:
        order = quick_order(body, "main", "qe1")
        assert order is not None
        reply(write(account.judge(Asked(order, "qe1", "http", datetime.now(UTC)))).line)  # type: ignore[arg-type]

    return hot_protocol("/api/v1/risk/evaluate", evaluate, 10**6)


async def nats_echo(url: str, seed: str) -> None:
    """Answer in the callback, for ever; says when it listens."""
    from plain_nats import plain

    async with plain(url, "risk-gateway", Path(seed)) as client:

        async def answer(message: Any) -> None:
            await client.publish(message.reply, ANSWER)

        await client.subscribe("svc.risk.evaluate.main.*", cb=answer)
        await client.flush()
        print("listening", flush=True)
        await asyncio.Event().wait()


def one_by_one() -> None:
    """The gateway without group commit: every decision waits for the one before it to be stored."""
    from functools import partial

    from fleet_chassis import pipeline
    from risk_gateway.__main__ import main

    pipeline.PipelineLimits = partial(pipeline.PipelineLimits, group_lines_max=1)  # type: ignore[misc, assignment]
    main()


if __name__ == "__main__":
    if sys.argv[1] == "one-by-one":
        one_by_one()
        sys.exit()
    if sys.argv[1] == "nats-echo":
        uvloop.run(nats_echo(sys.argv[2], sys.argv[3]))
    uvicorn.run(
        fastapi_app() if sys.argv[1] == "fastapi" else echo,
        port=int(sys.argv[2]),
        http=hot_protocol_without_journal() if sys.argv[1] == "hot" else "httptools",
        loop="uvloop",
        access_log=False,
        log_level="warning",
    )
