"""Bodies that the contracts can't describe: files that go in and out, and examples of the main requests."""

from typing import Any

from gateway.openapi.schemas import Schema

# JSON schema has no type for bytes; `format` is what the pages make a file chooser of.
_FILE: Schema = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}

TABLE_TYPES = {
    "text/csv": "CSV, any sane delimiter, quoting and encoding",
    "application/json": "a JSON array of objects",
    "application/x-ndjson": "JSON lines",
    "application/vnd.apache.parquet": "Parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel (.xlsx)",
}

# Parts of the form beside the file with an example of each, by RPC; each is a field of the request, too.
FORM_FIELDS: dict[str, dict[str, str]] = {
    "DatasetService.UploadDataset": {"name": "customers", "description": "", "visibility": "private"},
    "DatasetService.CreateDatasetVersion": {},
}


def upload_content(form: dict[str, Schema]) -> dict[str, Any]:
    """The content of an upload: a multipart form with `file` and the given parts, or the file alone."""
    file = {**_FILE, "description": "The file. Its content decides the format, not its name."}
    schema = {"type": "object", "required": ["file"], "properties": {"file": file, **form}}
    return {"multipart/form-data": {"schema": schema}} | {
        media_type: {"schema": {**_FILE, "description": f"The file alone: {meaning}."}}
        for media_type, meaning in {**TABLE_TYPES, "application/octet-stream": "any of these"}.items()
    }


def _files(*media_types: str) -> dict[str, Any]:
    return {media_type: {"schema": _FILE} for media_type in media_types}


_KEY_SET: Schema = {
    "type": "object",
    "description": "A JWK set (RFC 7517).",
    "required": ["keys"],
    "properties": {
        "keys": {
            "type": "array",
            "description": "The public keys.",
            "items": {"type": "object", "additionalProperties": True},
        }
    },
}

FORM_TYPE = "application/x-www-form-urlencoded"

_GRANT_TYPES = {
    "password": "with `username` and `password`",
    "refresh_token": "with `refresh_token`",
    "urn:mirage:api-key": "with `api_key`",
}

# Forms that an RPC takes, by RPC.
FORMS: dict[str, dict[str, Any]] = {
    "TokenService.IssueToken": {
        "schema": {
            "type": "object",
            "required": ["grant_type"],
            "properties": {
                "grant_type": {
                    "type": "string",
                    "enum": list(_GRANT_TYPES),
                    "description": "; ".join(f"`{name}` {use}" for name, use in _GRANT_TYPES.items()),
                },
                "username": {"type": "string", "description": "The address of the account."},
                "password": {"type": "string", "description": "Its password."},
                "refresh_token": {"type": "string", "description": "The refresh token of the latest answer."},
                "api_key": {"type": "string", "description": "The API key."},
                "scope": {
                    "type": "string",
                    "description": "Scopes to limit the token to, separated by spaces.",
                },
            },
        },
        "example": {"grant_type": "urn:mirage:api-key", "api_key": "mirage_ak_…", "scope": "datasets:read"},
    }
}

_TOKEN: Schema = {
    "type": "object",
    "description": "What a form that is right gives (RFC 6749, section 5.1).",
    "required": ["access_token", "token_type", "expires_in"],
    "properties": {
        "access_token": {"type": "string", "description": "A JWT for the `Authorization: Bearer` header."},
        "token_type": {"type": "string", "const": "Bearer", "description": "Always `Bearer`."},
        "expires_in": {"type": "integer", "minimum": 0, "description": "Seconds until it expires."},
        "refresh_token": {"type": "string", "description": "Opaque; good for one use. None for an API key."},
        "scope": {"type": "string", "description": "What the token is limited to; absent where it isn't."},
    },
}

_TOKEN_ERROR: Schema = {
    "type": "object",
    "description": "A refusal (RFC 6749, section 5.2).",
    "required": ["error", "error_description"],
    "properties": {
        "error": {
            "type": "string",
            "enum": [
                "invalid_request", "invalid_client", "invalid_grant", "unsupported_grant_type", "invalid_scope",
            ],
            "description": "What is wrong, for programs.",
        },
        "error_description": {"type": "string", "description": "What is wrong, for people."},
    },
}  # fmt: skip


def _token_error(description: str, error: str, text: str) -> dict[str, Any]:
    example = {"error": error, "error_description": text}
    return {"description": description, "content": {"application/json": {"schema": _TOKEN_ERROR, "example": example}}}


# Errors outside the common shape, by RPC and status.
OWN_ERRORS: dict[str, dict[str, Any]] = {
    "TokenService.IssueToken": {
        "400": _token_error(
            "The form is wrong, or what it holds is not good for a token.",
            "invalid_grant",
            "The API key is not valid.",
        ),
        "401": _token_error(
            "The caller said which client it is; there are no clients here, so that is wrong.",
            "invalid_client",
            "Leave client credentials out.",
        ),
    }
}

_EXPORT: Schema = {
    "type": "object",
    "description": "Everything that the platform holds about a user: one object a service, of lists of records.",
    "required": ["format", "format_version", "export_time", "user_id", "downloads", "auth"],
    "properties": {
        "format": {"type": "string", "const": "mirage-account-export", "description": "What this document is."},
        "format_version": {"type": "integer", "description": "Counts changes that a reader must know of."},
        "export_time": {"type": "string", "format": "date-time", "description": "When it was gathered."},
        "user_id": {"type": "string", "description": "About whom it is."},
        "downloads": {
            "type": "object",
            "description": "By which route the bytes of a table or the rows of a model can be had.",
            "additionalProperties": {"type": "string"},
        },
        "auth": {
            "type": "object",
            "description": "The account, its profile, sessions and API keys (never a secret).",
            "additionalProperties": True,
        },
    },
    "additionalProperties": {
        "type": "object",
        "description": "What another service holds: lists of records by section.",
        "additionalProperties": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
    },
}

_EVIDENCE: Schema = {
    "type": "object",
    "description": "Records with what proves them, which `mirage audit verify FILE` checks.",
    "required": ["format", "object_id", "issued_time", "records", "checkpoints", "keys", "signature"],
    "properties": {
        "format": {"type": "string", "const": "mirage.provenance.v1", "description": "Always this."},
        "object_id": {"type": "string", "description": "The object that was asked for."},
        "issued_time": {"type": "string", "format": "date-time", "description": "When it was made."},
        "records": {
            "type": "array",
            "description": "The records, each with its hashes and the proof that it is in a signed checkpoint.",
            "items": {"type": "object", "additionalProperties": True},
        },
        "checkpoints": {
            "type": "array",
            "description": "What the platform has signed of its log (JWS).",
            "items": {"type": "string"},
        },
        "keys": _KEY_SET,
        "signature": {"type": "string", "description": "The platform's signature of all that (detached JWS)."},
    },
}

# Answers outside the envelope, by RPC.
RAW_ANSWERS: dict[str, dict[str, Any]] = {
    "TokenService.IssueToken": {"application/json": {"schema": _TOKEN}},
    "KeyService.GetKeySet": {"application/jwk-set+json": {"schema": _KEY_SET}},
    "AccountService.ExportAccount": {"application/json": {"schema": _EXPORT}},
    "DatasetService.ExportDataset": _files(*TABLE_TYPES),
    "JobService.DownloadTable": _files(*TABLE_TYPES, "application/zip"),
    "ModelService.SampleModel": _files("application/x-ndjson", "text/csv"),
    "AuditService.GetAuditKeySet": {"application/jwk-set+json": {"schema": _KEY_SET}},
    "ProvenanceService.ExportProvenance": {"application/json": {"schema": _EVIDENCE}},
    "QualityService.GetReport": {"text/html": {"schema": {"type": "string"}}},
}

_DISPOSITION = {"Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}}}
RAW_HEADERS: dict[str, dict[str, Any]] = {
    "AccountService.ExportAccount": _DISPOSITION,
    "DatasetService.ExportDataset": _DISPOSITION,
    "JobService.DownloadTable": _DISPOSITION,
    "ProvenanceService.ExportProvenance": _DISPOSITION,
    "ModelService.SampleModel": {
        "X-Seed": {"description": "The seed in force, given or drawn.", "schema": {"type": "integer", "minimum": 0}}
    },
}

_DATASET = "019a7b1c-4d3e-7f52-8a6b-0c1d2e3f4a5b"
_START: dict[str, Any] = {
    "dataset_id": _DATASET,
    "sample_size": 5000,
    "seed": 42,
    "model_config": {"model_type": "tvae", "epochs": 150, "batch_size": 500, "embedding_dim": 128},
    "output_format": "csv",
    "include_metadata": True,
}

# Requests as somebody would really send them, by RPC.
EXAMPLES: dict[str, dict[str, Any]] = {
    "SessionService.Register": {
        "email": "ada@example.org",
        "password": "correct horse battery staple",
        "display_name": "Ada",
    },
    "SessionService.Login": {"email": "ada@example.org", "password": "correct horse battery staple"},
    "AccountService.DeleteAccount": {"password": "correct horse battery staple"},
    "SessionService.Refresh": {"refresh_token": "the refresh_token of the latest answer"},
    "SessionService.Logout": {"all": False},
    "SessionService.ChangePassword": {
        "old_password": "correct horse battery staple",
        "new_password": "a rather different sentence",
    },
    "ApiKeyService.CreateApiKey": {
        "name": "nightly import",
        "scopes": ["datasets:write", "generation:read"],
        "expire_time": "2027-01-31T12:00:00Z",
    },
    "StreamTicketService.CreateStreamTicket": {"stream": f"/generation/watch/{_DATASET}"},
    "AccountService.UpdateMe": {"display_name": "Ada Lovelace"},
    "AccountService.UpdateProfile": {
        "organisation": "Analytical Engines",
        "locale": "en-GB",
        "preferences": {"theme": "dark"},
    },
    "NotificationService.ReadNotifications": {"notification_ids": [_DATASET]},
    "NotificationService.UpdateNotificationPreferences": {"kinds": [{"kind": "job_ended", "email": True}]},
    "PushSubscriptionService.RegisterPushSubscription": {
        "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA",
        "keys": {
            "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    },
    "AdministrationService.SetUserRole": {"role": "administrator"},
    "DatasetService.UpdateDataset": {
        "name": "customers",
        "visibility": "private",
        "columns": [
            {"name": "customer_id", "role": "primary_key"},
            {"name": "churned", "role": "target"},
            {"name": "contact", "personal_data": "email"},
            {"name": "city_of_branch", "personal_data": "none"},
        ],
    },
    "JobService.StartJob": _START,
    "JobService.ValidateJob": _START,
    "QualityService.EvaluateTable": {
        "dataset_id": _DATASET,
        "table_dataset_id": "019a7b1c-9c11-7d0e-b2f4-5a6b7c8d9e0f",
        "target_column": "churned",
    },
    "JobAdministrationService.ApproveJob": {"reason": "small enough"},
    "JobAdministrationService.RejectJob": {"reason": "the dataset holds personal data"},
    "ModelService.SampleModel": {"n": 1000, "seed": 7, "conditions": {"churned": True}, "format": "csv"},
    "StudyService.StartStudy": {
        "dataset_id": _DATASET,
        "model_type": "ctgan",
        "optimization_method": "bayesian",
        "n_trials": 50,
        "optimization_metric": "quality_score",
        "search_space": {"epochs": [50, 200], "batch_size": [100, 1000], "learning_rate": [1e-4, 1e-2]},
        "acquisition_function": "EI",
        "random_state": 42,
    },
    "StudyService.StopStudy": {},
}
