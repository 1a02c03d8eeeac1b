"""Whether a platform can serve, as its gateway tells anybody."""

import json
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from mirage.endpoint import Endpoint
from mirage.errors import Unavailable

_ANSWER_S = 10


def can_serve(endpoint: Endpoint, ca_file: str | Path | None = None) -> bool:
    """Whether the platform says of itself that it can serve; nobody needs to be signed in.

    Args:
        endpoint: where it is.
        ca_file: certificates (PEM) to trust instead of the usual ones.

    Raises:
        Unavailable: nobody who knows answers there.
    """
    context = ssl.create_default_context(cafile=ca_file) if endpoint.secure else None
    try:
        with urllib.request.urlopen(f"{endpoint.url}/health", timeout=_ANSWER_S, context=context) as answer:  # noqa: S310 - http or https, as an Endpoint is
            told = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            return False
        raise Unavailable(f"{endpoint.url} is no platform: it answers {error.code}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(f"{endpoint.url} can't be reached: {reason}.") from None
    return bool(told.get("success"))
