"""The demonstration's user: made in the first run, kept for the next ones."""

import json
import secrets
from pathlib import Path

from deploy.local.program import write_private
from mirage import Client
from mirage.errors import AlreadyExists, NotSignedIn

NAME = "Demonstration"


def sign_in(client: Client, kept: Path) -> str:
    """Signs in as the user that the file `kept` tells of; makes one where there is none, and keeps its password there.

    Returns:
        What was done, as a sentence.
    """
    try:
        known = json.loads(kept.read_text("utf-8"))
        client.login(known["email"], known["password"])
    except (FileNotFoundError, ValueError, KeyError, NotSignedIn):
        email = _register(client, kept)
        return f"Registered {email}, with a password made up for it, kept in {kept}."
    return f"Signed in as {known['email']}, who registered in an earlier run."


def _register(client: Client, kept: Path) -> str:
    password = secrets.token_urlsafe(18)
    email = "demo@example.org"
    try:
        client.register(email, password, NAME)
    except AlreadyExists:  # and nobody knows its password any more
        email = f"demo-{secrets.token_hex(4)}@example.org"
        client.register(email, password, NAME)
    write_private(kept, json.dumps({"email": email, "password": password}))
    return email
