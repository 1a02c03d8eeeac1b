"""Web Push (RFC 8030): messages encrypted for one browser (RFC 8291), by a sender who can be told (RFC 8292)."""

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.errors import Violation
from servicekit.timestamps import utc_now
from services.activity.models import Notification
from services.activity.notifying import repository
from services.activity.notifying.deliveries import DeliveryFailed, TargetGone
from services.activity.notifying.repository import Browser

_KEPT_S = 24 * 3600  # by the push service, for a browser that isn't there
_GONE = {404, 410}
_POINT_BYTES, _SECRET_BYTES = 65, 16


def load_or_make_key(path: Path) -> Vapid02:
    """The sender's key (ES256), made where there is none yet.

    Raises:
        ValueError: the file holds no such key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = ec.generate_private_key(ec.SECP256R1())
        content = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(content)
        with suppress(FileExistsError):  # another process was faster
            os.link(fresh, path)
        fresh.unlink()
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("it must hold an EC private key on P-256 (PEM)")  # noqa: TRY004 - a file's content
    return Vapid02(key)


def public_key(key: Vapid02) -> str:
    """The key that browsers subscribe with: an uncompressed point, base64url."""
    point = key.public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


class PushServices:
    """The push services that messages may go to: an address is the user's to tell, and must lead nowhere else."""

    def __init__(self, hosts: Collection[str]) -> None:
        """`hosts` are names, `*.example.org` for all below one; with a port, plain HTTP to it is let through."""
        self._hosts = tuple(hosts)

    def faults(self, browser: Browser) -> list[Violation]:
        """What is wrong with what a browser told."""
        found = []
        if not self.is_one(browser.endpoint):
            known = ", ".join(self._hosts)
            found.append(Violation("endpoint", f"must be an https:// address of a push service: {known}"))
        for field, size, what in (
            ("p256dh", _POINT_BYTES, "the browser's public key: 65 bytes of an uncompressed point of P-256, base64url"),
            ("auth", _SECRET_BYTES, "the browser's secret: 16 bytes, base64url"),
        ):
            value = _decoded(getattr(browser, field))
            if value is None or len(value) != size or (field == "p256dh" and not _is_point(value)):
                found.append(Violation(f"keys.{field}", f"must be {what}"))
        return found

    def is_one(self, endpoint: str) -> bool:
        """Whether an address is one of a push service."""
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.password is not None or not parts.path.startswith("/"):
            return False
        if f"{host}:{port}" in self._hosts:
            return parts.scheme in ("https", "http")
        return (
            parts.scheme == "https"
            and port in (None, 443)
            and any(host == known or (known.startswith("*.") and host.endswith(known[1:])) for known in self._hosts)
        )


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None


def _is_point(value: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), value)
    except ValueError:
        return False
    return True


class WebPush:
    """Sends notifications to browsers."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        services: PushServices,
        key: Vapid02,
        *,
        subject: str,
        timeout_s: float,
    ) -> None:
        """`subject` is how the keepers of push services reach whoever sends: a mailto: or https: address."""
        self._sessions = sessions
        self._services = services
        self._key = key
        self._subject = subject
        self._timeout_s = timeout_s

    async def deliver(self, notification: Notification, target: str) -> None:
        """Sends a notification to a browser, by the browser's id.

        Raises:
            TargetGone: the push service doesn't know the browser any more.
            DeliveryFailed: it can't be reached, hangs, or refuses.
        """
        async with self._sessions() as session:
            found = await repository.find_browser(session, UUID(target))
        if found is None:
            return
        browser = Browser(found.endpoint, found.p256dh, found.auth)
        if not self._services.is_one(browser.endpoint):
            raise TargetGone("its push service is none that messages may go to")
        status = await self._post(browser, await asyncio.to_thread(self._encrypted, browser, notification))
        if status in _GONE:
            raise TargetGone(f"its push service answered {status}")
        if not 200 <= status < 300:
            raise DeliveryFailed(f"its push service answered {status}")
        async with self._sessions.begin() as session:
            await repository.note_delivery(session, found.id, utc_now())

    def _encrypted(self, browser: Browser, notification: Notification) -> bytes:
        message = {
            "notification_id": str(notification.id),
            "kind": notification.kind,
            "title": notification.title,
            "body": notification.body,
            "object_type": notification.object_type,
            "object_id": notification.object_id,
        }
        from pywebpush import WebPusher  # and with it two HTTP clients, which a start needn't wait for

        keys = {"p256dh": browser.p256dh, "auth": browser.auth}
        encoded = WebPusher({"endpoint": browser.endpoint, "keys": keys}).encode(json.dumps(message).encode())
        body: bytes = encoded["body"]
        return body

    async def _post(self, browser: Browser, body: bytes) -> int:
        import aiohttp

        parts = urlsplit(browser.endpoint)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "sub": self._subject}
        headers = {
            **self._key.sign(claims),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(_KEPT_S),
        }
        try:
            # A redirect would lead to where no push service is.
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s)) as http,
                http.post(browser.endpoint, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DeliveryFailed(f"its push service can't be reached: {type(error).__name__}") from error
