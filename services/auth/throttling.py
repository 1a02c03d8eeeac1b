"""Limits on trying: how often a password, a key or a registration may be tried, counted in PostgreSQL for all copies.

Each rule is a bucket by the generic cell rate algorithm (ITU-T I.371, A.2): so many attempts at once, then one every so
many seconds. Attempts count before they are judged, so that many at once gain nothing, and are given back when they
succeed. Wrong passwords count by account and address together: nobody is locked out by what a stranger tries elsewhere.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from servicekit.database import Database
from servicekit.errors import RateLimited
from servicekit.origin import network_of
from servicekit.security import SecurityEvent, report
from services.auth import repository


@dataclass(frozen=True)
class Rule:
    """What is counted, and how much of it is let in."""

    name: str
    at_once: int
    every_s: float  # then one more in so many seconds

    def of(self, *whom: str) -> "Bucket":
        """The bucket of whom it counts, such as an account and an address."""
        text = "\x1f".join((self.name, *whom))
        return Bucket(self, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())


@dataclass(frozen=True)
class Bucket:
    """One count of a rule."""

    rule: Rule
    key_hash: bytes

    @property
    def interval(self) -> timedelta:
        """What one attempt costs."""
        return timedelta(seconds=self.rule.every_s)

    @property
    def tolerance(self) -> timedelta:
        """How far ahead attempts may be."""
        return self.interval * (self.rule.at_once - 1)


SIGN_IN = Rule("sign_in", at_once=10, every_s=60)
"""Passwords of one account from one address."""
SIGN_IN_BY_ADDRESS = Rule("sign_in_by_address", at_once=100, every_s=10)
"""Passwords of any accounts from one address."""
CONFIRMATION = Rule("password_confirmation", at_once=10, every_s=60)
"""The password that a signed-in person repeats, by account and address."""
REGISTRATION = Rule("registration", at_once=50, every_s=20)
"""New accounts from one address."""
REFRESH = Rule("refresh", at_once=100, every_s=1)
"""Refresh tokens that are none, from one address."""
API_KEY = Rule("api_key", at_once=50, every_s=10)
"""API keys that are none, from one address."""


def sign_in_buckets(email_key: str, address: str) -> Sequence[Bucket]:
    """What a try at an account's password counts in."""
    network = network_of(address)
    return SIGN_IN.of(email_key, network), SIGN_IN_BY_ADDRESS.of(network)


def address_bucket(rule: Rule, address: str) -> Bucket:
    """What a try from an address counts in."""
    return rule.of(network_of(address))


class Throttle:
    """Lets attempts in, or not."""

    def __init__(self, database: Database, *, enabled: bool = True) -> None:
        self._database = database
        self._enabled = enabled

    async def admit(self, *buckets: Bucket) -> None:
        """Counts an attempt in each bucket; in none of them if one is full.

        Raises:
            RateLimited: one is full.
        """
        if not self._enabled:
            return
        async with self._database.sessions.begin() as session:
            # In one order, so that two attempts never wait for each other.
            for bucket in sorted(buckets, key=lambda bucket: bucket.key_hash):
                wait = await repository.count_attempt(session, bucket.key_hash, bucket.interval, bucket.tolerance)
                if wait is not None:
                    report(SecurityEvent.THROTTLED, rule=bucket.rule.name)
                    raise RateLimited(bucket.rule.at_once, wait.total_seconds())

    async def forgive(self, *buckets: Bucket) -> None:
        """Gives an attempt back that was a good one."""
        if not self._enabled:
            return
        async with self._database.sessions.begin() as session:
            for bucket in sorted(buckets, key=lambda bucket: bucket.key_hash):
                await repository.give_attempt_back(session, bucket.key_hash, bucket.interval)
