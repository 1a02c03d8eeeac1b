"""Errors that Envoy makes by itself, each with the code and the text that it has in the common shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# The charset tells them from what the transcoder wrote, which still needs its envelope.
LOCAL_REPLY_TYPE = "application/json; charset=utf-8"
HEALTH_PATH = r"^/health(\?.*)?$"

_ENVOYS_OWN_TEXT = "%LOCAL_REPLY_BODY%"
_SIGN_IN = f"Sign in first: this call needs a valid access token. {_ENVOYS_OWN_TEXT}."


@dataclass(frozen=True)
class LocalReply:
    """One kind of error: which of Envoy's answers it is, and what it becomes."""

    status: int
    code: str
    message: str
    at_least: bool = False  # this status or a higher one
    condition: dict[str, Any] | None = None  # a further access log filter that must hold
    becomes: int | None = None  # another status than Envoy's
    retry_after_s: int | None = None

    @property
    def filter(self) -> dict[str, Any]:
        """The access log filter that picks it out (envoy.config.accesslog.v3.AccessLogFilter)."""
        value = {"default_value": self.status, "runtime_key": f"gateway.local_reply.{self.code.lower()}"}
        status = {"status_code_filter": {"comparison": {"op": "GE" if self.at_least else "EQ", "value": value}}}
        return {"and_filter": {"filters": [status, self.condition]}} if self.condition else status


def local_replies(
    *, max_request_size_mb: int, max_file_size_mb: int, upload_patterns: Sequence[str]
) -> Sequence[LocalReply]:
    """Every kind of error that Envoy makes, the first that fits counts."""
    return (
        # What the transcoder can't read although the script `check` let it pass; its own text names types of contracts.
        LocalReply(
            400,
            "INVALID_REQUEST",
            "The request can't be read: its body or its parameters are not of the form that the route takes.",
            condition=_details_contain("grpc_json_transcode"),
        ),
        # Here Envoy has no text of its own, or one that says nothing.
        LocalReply(
            400,
            "INVALID_REQUEST",
            "The path can't be read: it holds an encoded slash or null, or more “..” than segments.",
            condition=_details_contain("path_normalization_failed"),
        ),
        LocalReply(
            400, "INVALID_REQUEST", "The request has no header Host.", condition=_details_contain("missing_host_header")
        ),
        LocalReply(
            400, "INVALID_REQUEST", "The request is not well-formed HTTP/1.1.", condition=_details_contain("http1.")
        ),
        LocalReply(400, "INVALID_REQUEST", _ENVOYS_OWN_TEXT),
        LocalReply(
            401,
            "UNAVAILABLE",
            "Tokens can't be checked just now. Try again in a moment.",
            condition=_details_contain("Jwks_remote_fetch"),
            becomes=503,
            retry_after_s=1,
        ),
        LocalReply(401, "UNAUTHENTICATED", _SIGN_IN),
        LocalReply(403, "UNAUTHENTICATED", _SIGN_IN, condition=_details_contain("jwt_authn"), becomes=401),
        LocalReply(403, "PERMISSION_DENIED", "This is not allowed."),
        LocalReply(404, "ROUTE_NOT_FOUND", "There is no such route. /docs has all of them."),
        LocalReply(
            405, "METHOD_NOT_ALLOWED", "This route doesn't take this method. The header Allow has those it takes."
        ),
        LocalReply(408, "TIMEOUT", "The request took too long to arrive."),
        LocalReply(
            413,
            "FILE_TOO_LARGE",
            f"The file is larger than {max_file_size_mb} MB.",
            condition=_path_is_one_of(upload_patterns),
        ),
        LocalReply(413, "REQUEST_TOO_LARGE", f"The request's body is larger than {max_request_size_mb} MB."),
        LocalReply(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be JSON: Content-Type: application/json."),
        LocalReply(421, "HOST_NOT_ALLOWED", "This host name is not served here."),
        LocalReply(426, "HTTP_VERSION_NOT_SERVED", "HTTP/1.0 and older are not served: send HTTP/1.1 or HTTP/2."),
        LocalReply(429, "RATE_LIMIT_EXCEEDED", "Too many requests. Try again later."),
        LocalReply(431, "HEADERS_TOO_LARGE", "The request's headers are too large."),
        LocalReply(
            501,
            "INVALID_REQUEST",
            "The request's Transfer-Encoding is not known here: chunked is.",
            condition=_details_contain("http1.invalid_transfer_encoding"),
            becomes=400,
        ),
        LocalReply(
            503, "UNAVAILABLE", "The platform, or a part of it, can't serve just now. Try again soon.", retry_after_s=5
        ),
        LocalReply(504, "TIMEOUT", "The answer took too long."),
        LocalReply(500, "INTERNAL", "Something went wrong on our side.", at_least=True),
        LocalReply(400, "HTTP_%RESPONSE_CODE%", "The request can't be served.", at_least=True),
    )


def _path_is_one_of(patterns: Sequence[str]) -> dict[str, Any]:
    """One filter for each pattern: Envoy refuses a regular expression that gets large."""
    return {"or_filter": {"filters": [_path_matches(pattern) for pattern in patterns]}}


def _path_matches(pattern: str) -> dict[str, Any]:
    regex = rf"^{pattern}(\?.*)?$"
    return {"header_filter": {"header": {"name": ":path", "string_match": {"safe_regex": {"regex": regex}}}}}


def _details_contain(text: str) -> dict[str, Any]:
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": f"response.code_details.contains('{text}')",
            },
        }
    }


CHECKED: dict[str, Any] = {
    "and_filter": {
        "filters": [
            LocalReply(400, "CHECKED", "").filter,
            _details_contain("lua_response"),
        ]
    }
}
"""The access log filter that picks out what the script `check` refused; the body is an error in JSON already."""
