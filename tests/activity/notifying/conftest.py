"""Real targets of deliveries: a push service that a browser's keys open, and a mail server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import http_ece
import jwt
import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PATIENCE_S = 20.0


def base64url(content: bytes) -> str:
    """As browsers write bytes."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class PushServiceForTests:
    """What browsers subscribe at; it answers as a test says, and keeps what it took."""

    address: str = ""
    status: int = 201
    hangs: bool = False
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    ends: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        """Takes a message."""
        self.taken.append((dict(request.headers), await request.read()))
        self.asked.set()
        if self.hangs:
            await self.ends.wait()
        return web.Response(status=self.status, headers={"location": f"{self.address}/elsewhere"})

    async def taken_count(self, count: int) -> None:
        """Waits until it was asked so many times."""
        async with asyncio.timeout(_PATIENCE_S):
            while len(self.taken) < count:
                await self.asked.wait()
                self.asked.clear()


@dataclass
class BrowserForTests:
    """A browser with its keys."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = b"sixteen secrets!"

    @property
    def p256dh(self) -> str:
        """Its public key, as it tells it."""
        return base64url(
            self.key.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
        )

    @property
    def auth(self) -> str:
        """Its secret, as it tells it."""
        return base64url(self.secret)

    def opened(self, body: bytes) -> Any:
        """A message, as only this browser can read it."""
        content = http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        return json.loads(content)


def claims_of(headers: dict[str, str]) -> tuple[dict[str, Any], str]:
    """What a sender says of itself, proven by the key that it names; and the key (RFC 8292)."""
    parts = dict(part.strip().split("=", 1) for part in headers["Authorization"].removeprefix("vapid ").split(","))
    point = base64.urlsafe_b64decode(parts["k"] + "=" * (-len(parts["k"]) % 4))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return jwt.decode(parts["t"], key, algorithms=["ES256"], options={"verify_aud": False}), parts["k"]


@pytest.fixture
async def push_service() -> AsyncIterator[PushServiceForTests]:
    """A push service on a free port."""
    service = PushServiceForTests()
    app = web.Application()
    app.router.add_post("/{path:.*}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    service.address = f"http://{host}:{port}"
    try:
        yield service
    finally:
        service.ends.set()
        await runner.cleanup()


class MailServerForTests:
    """Takes e-mail, or refuses it as a test says."""

    def __init__(self) -> None:
        self.reply = "250 OK"
        self.taken: asyncio.Queue[Envelope] = asyncio.Queue()

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Takes or refuses a receiver."""
        if self.reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.reply

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Takes a message."""
        self.taken.put_nowait(envelope)
        return "250 OK"


@pytest.fixture
async def mail_server() -> AsyncIterator[tuple[MailServerForTests, int]]:
    """A mail server, with its port."""
    handler = MailServerForTests()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler, hostname="mail"), "127.0.0.1", 0)
    async with server:
        yield handler, server.sockets[0].getsockname()[1]
