"""The operator of a scenario: presses the kill switch as a person would, over HTTP with the operator's token."""

import json
import urllib.request
from pathlib import Path

_TIMEOUT_S = 10.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def press_kill(home: Path, account: str, reason: str) -> None:
    """Kill the account at the gateway whose home this is. Returns when the kill is in force; raises OSError.

    It blocks: a bot in virtual time has nothing else to do meanwhile.
    """
    port = int((home / "run" / "risk-gateway.port").read_text())
    token = (home / "secrets" / "tokens" / "operator.token").read_text().strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/kill?account={account}",
        json.dumps({"reason": reason}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    with _NO_PROXY.open(request, timeout=_TIMEOUT_S):
        pass
