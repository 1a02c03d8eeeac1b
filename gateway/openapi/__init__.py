"""Makes the OpenAPI document from the contracts and their comments; for when contracts change, not when Envoy runs."""

from gateway.openapi.document import make_document

__all__ = ["make_document"]
