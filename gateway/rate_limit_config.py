"""Rate limits in Envoy's words: what routes say of themselves, the filter that counts, and the service that may.

A caller's bucket is told by three entries: the class of limits, the bucket (mostly the RPC), and who it is. Envoy keeps
one for each that it meets (so many of a class, and the longest unused goes first), or asks envoyproxy/ratelimit, whose
configuration is made of the same file.
"""

from collections.abc import Mapping
from typing import Any

from gateway.contracts import Rpc
from gateway.rate_limits import DEFAULT_CLASS, SIGNED_OUT_CLASS, RateLimits, Rule

USER_HEADER = "x-user-id"
"""The filter `identity` sets it to whom a good token names. None comes in from outside; none goes on to a service."""

LIMITED_HEADER = "x-rate-limited"
"""Marks the answer to a request that was over its limit, for the script on the way out, which takes it off."""

LIMIT_SERVICE = "rate-limit-service"
DOMAIN = "mirage"

_METADATA = "rate_limit"
# Who empties a bucket and wants a fresh one must push it out by so many others of the same class within its time.
_MOST_BUCKETS_OF_A_CLASS = 20_000
_ANSWER_WITHIN = "0.1s"

_USER_ENTRIES = ("class", "bucket", "user")
_ADDRESS_ENTRIES = ("class", "bucket", "signed_in", "masked_remote_address")
_NOBODY = {"signed_in": "no"}

Metadata = dict[str, dict[str, Any]]


def metadata_of(limits: RateLimits, rpc: Rpc) -> Metadata:
    """What an RPC's route says, by the filter that reads it.

    Nobody is signed in to an open RPC, whatever token comes along. Of the others, calls without a good token count
    together: they are refused anyhow.
    """
    rule = limits.rule_of(rpc)
    if rpc.is_open:
        return metadata_of_address(limits, rule)
    said = metadata_of_address(limits, Rule(SIGNED_OUT_CLASS, SIGNED_OUT_CLASS))
    said[_METADATA] |= {"user_class": rule.class_name, "user_bucket": rule.bucket}
    said["response"] |= {"user_seconds": limits.limits[rule.class_name].unit_seconds}
    return said


def metadata_of_address(limits: RateLimits, rule: Rule | None = None) -> Metadata:
    """What a route says that knows no users; without a rule that of what has no route at all."""
    rule = rule or Rule(DEFAULT_CLASS, DEFAULT_CLASS)
    return {
        _METADATA: {"address_class": rule.class_name, "address_bucket": rule.bucket},
        "response": {"address_seconds": limits.limits[rule.class_name].unit_seconds},
    }


def limit_filter(limits: RateLimits, *, by_service: bool) -> dict[str, Any]:
    """The HTTP filter that counts (envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter)."""
    config = _global() if by_service else _local(limits)
    return {
        "name": _METADATA,
        "typed_config": {
            **config,
            "rate_limited_as_resource_exhausted": True,
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "response_headers_to_add": [{"header": {"key": LIMITED_HEADER, "value": "1"}}],
            "rate_limits": [{"actions": _user_actions()}, {"actions": _address_actions()}],
        },
    }


def rate_limit_service_config(limits: RateLimits) -> dict[str, Any]:
    """The configuration of envoyproxy/ratelimit: a limit by class for each bucket and caller."""
    return {
        "domain": DOMAIN,
        "descriptors": [
            {
                "key": "class",
                "value": name,
                "descriptors": [
                    {
                        "key": "bucket",
                        "descriptors": [
                            {"key": "user", "rate_limit": rate},
                            {
                                "key": "signed_in",
                                "value": _NOBODY["signed_in"],
                                "descriptors": [{"key": "masked_remote_address", "rate_limit": rate}],
                            },
                        ],
                    }
                ],
            }
            for name, rate in (
                (name, {"unit": limit.unit, "requests_per_unit": limit.requests})
                for name, limit in limits.limits.items()
            )
        ],
    }


def _local(limits: RateLimits) -> dict[str, Any]:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": _METADATA,
        "filter_enabled": always,
        "filter_enforced": always,
        "always_consume_default_token_bucket": False,
        "max_dynamic_descriptors": _MOST_BUCKETS_OF_A_CLASS,
        "descriptors": [
            {
                "entries": _entries(keys, {"class": name, **_NOBODY}),
                "token_bucket": {
                    "max_tokens": limit.requests,
                    "tokens_per_fill": limit.requests,
                    "fill_interval": f"{limit.unit_seconds}s",
                },
            }
            for name, limit in limits.limits.items()
            for keys in (_USER_ENTRIES, _ADDRESS_ENTRIES)
        ],
    }


def _global() -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
        "domain": DOMAIN,
        "timeout": _ANSWER_WITHIN,
        # Without the service requests are let in: what guards passwords counts in the database.
        "failure_mode_deny": False,
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": LIMIT_SERVICE}},
        },
    }


def _entries(keys: tuple[str, ...], values: Mapping[str, str]) -> list[dict[str, str]]:
    """Entries of a descriptor; one without a value is met by any."""
    return [{"key": key, "value": values.get(key, "")} for key in keys]


def _user_actions() -> list[dict[str, Any]]:
    return [
        _from_route("user_class", "class"),
        _from_route("user_bucket", "bucket"),
        {"request_headers": {"header_name": USER_HEADER, "descriptor_key": "user"}},
    ]


def _address_actions() -> list[dict[str, Any]]:
    return [
        _from_route("address_class", "class"),
        _from_route("address_bucket", "bucket"),
        {
            "header_value_match": {
                "descriptor_key": "signed_in",
                "descriptor_value": _NOBODY["signed_in"],
                "expect_match": False,
                "headers": [{"name": USER_HEADER, "present_match": True}],
            }
        },
        # Whoever has one IPv6 address has the network of it.
        {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}},
    ]


def _from_route(name: str, key: str) -> dict[str, Any]:
    place = {"key": _METADATA, "path": [{"key": name}]}
    return {"metadata": {"descriptor_key": key, "metadata_key": place, "source": "ROUTE_ENTRY"}}
