"""What every answer has in common: the envelope, and the errors with their status and shape."""

from typing import Any

from gateway.openapi.schemas import Schema

_TIMESTAMP: Schema = {"type": "string", "format": "date-time", "description": "When it was answered, UTC."}
_EXAMPLE_TIME = "2026-01-31T12:00:00.000Z"


def envelope(data: Schema) -> Schema:
    """The schema of a success with this as its data."""
    return {
        "type": "object",
        "required": ["success", "data", "message", "timestamp"],
        "properties": {
            "success": {"type": "boolean", "const": True, "description": "Always true."},
            "data": data,
            "message": {"type": "string", "description": "A short text for people."},
            "timestamp": _TIMESTAMP,
        },
    }


ERROR: Schema = {
    "type": "object",
    "description": "What every failure looks like, whether a service or the gateway made it.",
    "required": ["success", "error", "timestamp"],
    "properties": {
        "success": {"type": "boolean", "const": False, "description": "Always false."},
        "error": {
            "type": "object",
            "description": "What went wrong.",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "description": "What went wrong, for programs.", "pattern": "^[A-Z0-9_]+$"},
                "message": {"type": "string", "description": "What went wrong, for people."},
                "details": {
                    "type": "array",
                    "description": "More for programs: `google.rpc` details, each with its `@type`.",
                    "items": {
                        "anyOf": [{"$ref": f"#/components/schemas/{n}"} for n in ("ErrorInfo", "BadRequest", "Detail")]
                    },
                },
            },
        },
        "timestamp": _TIMESTAMP,
    },
}

_TYPE = "type.googleapis.com/google.rpc."
DETAILS: dict[str, Schema] = {
    "ErrorInfo": {
        "type": "object",
        "description": "Why, for programs. Every error of a service has one.",
        "required": ["@type", "reason", "domain", "metadata"],
        "properties": {
            "@type": {"type": "string", "const": f"{_TYPE}ErrorInfo", "description": "Its kind."},
            "reason": {"type": "string", "description": "The same as `error.code`."},
            "domain": {"type": "string", "description": "Always `mirage`."},
            "metadata": {
                "type": "object",
                "description": "What it is about, such as the id that was not found.",
                "additionalProperties": {"type": "string"},
            },
        },
    },
    "BadRequest": {
        "type": "object",
        "description": "Which fields of the request are wrong: all of them, not only the first.",
        "required": ["@type", "field_violations"],
        "properties": {
            "@type": {"type": "string", "const": f"{_TYPE}BadRequest", "description": "Its kind."},
            "field_violations": {
                "type": "array",
                "description": "One for each wrong field.",
                "items": {
                    "type": "object",
                    "required": ["field", "description"],
                    "properties": {
                        "field": {"type": "string", "description": "Where it is, such as `model_config.epochs`."},
                        "description": {"type": "string", "description": "What is wrong, and what would be right."},
                    },
                },
            },
        },
    },
    "Detail": {
        "type": "object",
        "description": "A detail of another kind.",
        "required": ["@type"],
        "properties": {"@type": {"type": "string", "description": "Its kind."}},
        "additionalProperties": True,
    },
}


def _error_response(description: str, code: str, message: str, *details: Any, headers: Any = None) -> dict[str, Any]:
    example = {
        "success": False,
        "error": {"code": code, "message": message, "details": list(details)},
        "timestamp": _EXAMPLE_TIME,
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "example": example}}
    return {"description": description, **({"headers": headers} if headers else {}), "content": content}


def _error_info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": f"{_TYPE}ErrorInfo", "reason": reason, "domain": "mirage", "metadata": metadata}


_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_RATE_LIMIT = {
    name: {"description": description, "schema": {"type": "integer", "minimum": 0}}
    for name, description in (
        ("X-RateLimit-Limit", "Requests that may come at once."),
        ("X-RateLimit-Remaining", "Requests that are left of them."),
        ("X-RateLimit-Reset", "Seconds until all are there again."),
    )
}

# By name, each under the status that `STATUS` gives.
RESPONSES: dict[str, dict[str, Any]] = {
    "InvalidRequest": _error_response(
        "The request is wrong, or what it asks for isn't possible in the state that things are in.",
        "INVALID_REQUEST",
        "sample_size: must be between 1 and 100,000",
        _error_info("INVALID_REQUEST"),
        {
            "@type": f"{_TYPE}BadRequest",
            "field_violations": [{"field": "sample_size", "description": "must be between 1 and 100,000"}],
        },
    ),
    "Unauthenticated": _error_response(
        "The access token, or whatever else says who calls, is missing or not valid.",
        "UNAUTHENTICATED",
        "Sign in first: this call needs a valid access token.",
    ),
    "PermissionDenied": _error_response(
        "The caller's role may not do this.",
        "PERMISSION_DENIED",
        "Your role may not make this call.",
        _error_info("PERMISSION_DENIED"),
    ),
    "NotFound": _error_response(
        "There is no such thing, or it is somebody else's.",
        "DATASET_NOT_FOUND",
        "Dataset 0197… does not exist.",
        _error_info("DATASET_NOT_FOUND", dataset_id="0197…"),
    ),
    "Conflict": _error_response(
        "It exists already, or was changed by somebody else in the meantime.",
        "EMAIL_TAKEN",
        "There is an account with this address already.",
        _error_info("EMAIL_TAKEN"),
    ),
    "TooLarge": _error_response(
        "The body is larger than what is accepted.",
        "REQUEST_TOO_LARGE",
        "The request's body is larger than 100 MB.",
    ),
    "UnsupportedMediaType": _error_response(
        "The body is not JSON.",
        "UNSUPPORTED_MEDIA_TYPE",
        "The body must be JSON: Content-Type: application/json.",
    ),
    "TooManyRequests": _error_response(
        "Too much was asked for in too short a time.",
        "RATE_LIMIT_EXCEEDED",
        "Too many requests: at most 60 requests in a minute. Try again in 1 second.",
        _error_info("RATE_LIMIT_EXCEEDED", limit="60", window_seconds="60", retry_after_seconds="1"),
        {"@type": f"{_TYPE}RetryInfo", "retry_delay": "1s"},
        headers=_RETRY_AFTER | _RATE_LIMIT,
    ),
    "Internal": _error_response(
        "Something went wrong on our side.",
        "INTERNAL",
        "Something went wrong on our side. It has been logged.",
        _error_info("INTERNAL"),
    ),
    "Unavailable": _error_response(
        "A part of the platform can't be reached just now. Trying again helps.",
        "UNAVAILABLE",
        "The platform, or a part of it, can't serve just now. Try again soon.",
        headers=_RETRY_AFTER,
    ),
    "Full": _error_response(
        "There is no room left to keep anything. Trying again helps once there is.",
        "STORAGE_FULL",
        "The platform's object store is full. Nothing was kept; try again when there is room.",
    ),
    "Timeout": _error_response("The answer took too long.", "TIMEOUT", "The answer took too long."),
}

STATUS = {
    "InvalidRequest": "400",
    "Unauthenticated": "401",
    "PermissionDenied": "403",
    "NotFound": "404",
    "Conflict": "409",
    "TooLarge": "413",
    "UnsupportedMediaType": "415",
    "TooManyRequests": "429",
    "Internal": "500",
    "Unavailable": "503",
    "Timeout": "504",
    "Full": "507",
}
