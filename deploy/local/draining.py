"""Taking leave of the gateway's clients before it is stopped."""

import asyncio
import urllib.request

_ANSWER_SECONDS = 5
# Health says no, so that who balances loads sends nobody any more; each answer closes its connection.
_ORDERS = ("healthcheck/fail", "drain_listeners?graceful&skip_exit")


async def drain_gateway(admin_port: int) -> None:
    """Tells Envoy that it is about to be stopped; it goes on serving. Where it does not answer that is all."""
    await asyncio.to_thread(_drain, admin_port)


def _drain(admin_port: int) -> None:
    for order in _ORDERS:
        request = urllib.request.Request(f"http://127.0.0.1:{admin_port}/{order}", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):  # noqa: S310 - ours
                pass
        except OSError:
            return
