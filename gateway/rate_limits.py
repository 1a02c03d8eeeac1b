"""The file of rate limits: what it may say, which limit each RPC has by it, and what is wrong with one.

`RATE_LIMITS` names the file; without it the one beside this module counts.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from gateway.contracts import Rpc, read_descriptor_set, routed_rpcs
from servicekit.wording import in_words

DEFAULT_FILE = Path(__file__).with_name("rate_limits.yaml")
OFF = "off"

DEFAULT_CLASS = "default"
SIGNED_OUT_CLASS = "signed_out"
HEALTH_CLASS = "health"
DOCS_CLASS = "docs"

UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

_LIMIT = re.compile(rf"(?P<requests>[1-9]\d{{0,5}})/(?P<unit>{'|'.join(UNIT_SECONDS)})")
_LARGEST_FILE_BYTES = 1024 * 1024


class WrongRateLimits(ValueError):
    """A file of limits can't be used; the message names the file and every wrong field."""


@dataclass(frozen=True)
class Limit:
    """So many requests in a second, a minute, an hour or a day."""

    requests: int
    unit: str

    @property
    def unit_seconds(self) -> int:
        """The length of the unit."""
        return UNIT_SECONDS[self.unit]


def _limit(value: object) -> object:
    match = _LIMIT.fullmatch(value) if isinstance(value, str) else None
    if match:
        return Limit(int(match["requests"]), match["unit"])
    raise ValueError(f"must be 1 to 999999 requests in one of {', '.join(UNIT_SECONDS)}, such as 60/minute")


_WORDS = {
    "model_type": "must be a class: its limit and its rpcs",
    "tuple_type": "must be a list of names",
    "string_type": "must be a name",
    "bool_type": "must be true or false",
    "mapping_type": "must be classes by their names",
}

LimitField = Annotated[Limit, BeforeValidator(_limit)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class LimitClass(BaseModel):
    """RPCs with the same limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    limit: LimitField
    together: bool = Field(False, strict=True)  # one bucket for all of them, in place of one each
    rpcs: tuple[str, ...] = Field(min_length=1)  # `package.Service/Method`, `*` for any part


class RateLimits(BaseModel):
    """What the file says."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    default: LimitField  # each RPC that no class names, and what of the next three is left out
    signed_out: LimitField | None = None  # calls together that need somebody signed in, and come without a good token
    health: LimitField | None = None
    docs: LimitField | None = None
    classes: Mapping[Name, LimitClass] = {}

    @model_validator(mode="after")
    def _own_names(self) -> Self:
        if taken := set(self.classes) & {DEFAULT_CLASS, SIGNED_OUT_CLASS, HEALTH_CLASS, DOCS_CLASS}:
            raise ValueError(
                f"classes: {', '.join(sorted(taken))} can't be the name of a class; it has a meaning already"
            )
        return self

    @property
    def limits(self) -> dict[str, Limit]:
        """The limit of each class, by its name."""
        return {
            DEFAULT_CLASS: self.default,
            SIGNED_OUT_CLASS: self.signed_out or self.default,
            HEALTH_CLASS: self.health or self.default,
            DOCS_CLASS: self.docs or self.default,
            **{name: each.limit for name, each in self.classes.items()},
        }

    def rule_of(self, rpc: Rpc) -> "Rule":
        """What an RPC is limited by."""
        named = [(name, each) for name, each in self.classes.items() if _rank(each.rpcs, rpc)]
        if not named:
            return Rule(DEFAULT_CLASS, rpc.title)
        name, best = max(named, key=lambda pair: _rank(pair[1].rpcs, rpc))
        return Rule(name, name if best.together else rpc.title)


@dataclass(frozen=True)
class Rule:
    """The class of limits that something belongs to, and the bucket that it takes from; each caller has their own."""

    class_name: str
    bucket: str


def read_rate_limits(path: Path) -> RateLimits:
    """Reads a file of limits.

    Raises:
        WrongRateLimits: it can't be read, isn't YAML, or has wrong fields: all of them are named.
    """
    content = _content(path)
    faults = []
    limits = None
    try:
        limits = RateLimits.model_validate(content)
    except ValidationError as error:
        faults += [_in_words(detail) for detail in error.errors(include_url=False)]
    faults += _faults_of_names(content, routed_rpcs(read_descriptor_set()))
    if limits is None or faults:
        raise WrongRateLimits("\n".join([f"{path} is no file of rate limits:", *(f"    {fault}" for fault in faults)]))
    return limits


def _content(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise WrongRateLimits(f"{path} can't be read ({error.strerror}); name a file of limits, or {OFF}") from None
    if len(text) > _LARGEST_FILE_BYTES:
        raise WrongRateLimits(f"{path} is larger than 1 MB")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise WrongRateLimits(f"{path}{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise WrongRateLimits(f"{path} is not YAML") from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: one of the two would count, and nobody be told which."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[object] = set()
    for key, _ in node.value:
        if key.value in seen and isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
        seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _in_words(detail: Any) -> str:
    place = ".".join(str(step) for step in detail["loc"] if step != "[key]")
    if detail["loc"][-1:] == ("[key]",):
        return f"{place}: a class's name must be of the letters a to z, digits and _"
    words = _WORDS.get(detail["type"]) or in_words(detail, RateLimits)
    if not place:
        return words if detail["type"] == "value_error" else "must have fields, such as default: 60/minute"
    return f"{place}: {words}"


def _faults_of_names(content: Any, rpcs: Sequence[Rpc]) -> list[str]:
    """What is wrong with the names of RPCs: one that there isn't, and one that two classes name."""
    faults = []
    paths = [_name(rpc) for rpc in rpcs]
    claims: dict[tuple[str, int], list[str]] = {}  # the classes that claim an RPC, by it and by how precisely
    for class_name, names in _names(content):
        for index, name in enumerate(names):
            found = [path for path in paths if fnmatchcase(path, name)]
            if not found:
                faults.append(f"classes.{class_name}.rpcs.{index}: {_unknown(name, paths)}")
            for path in found:
                claims.setdefault((path, _precision(name)), []).append(class_name)
    told: set[tuple[str, ...]] = set()
    for (path, _), classes in claims.items():
        rivals = tuple(sorted(set(classes)))
        if len(rivals) > 1 and rivals not in told:
            told.add(rivals)
            faults.append(f"classes: {path} is in {' and in '.join(rivals)}; it can have one limit")
    return faults


def _names(content: Any) -> list[tuple[str, list[str]]]:
    """Names of RPCs by class, as far as the file is well-formed there."""
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(classes, dict):
        return []
    lists = {name: each.get("rpcs") for name, each in classes.items() if isinstance(each, dict)}
    return [
        (str(name), [each for each in names if isinstance(each, str)])
        for name, names in lists.items()
        if isinstance(names, list)
    ]


def _unknown(name: str, paths: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, paths, n=1, cutoff=0.6)
    if nearest:
        return f"no RPC has this name; did you mean {nearest[0]}?"
    return f"no RPC has this name; one is written like {paths[0]}"


def _rank(names: Sequence[str], rpc: Rpc) -> int:
    """How precisely one of the names means the RPC: 0 for not at all, 1 with a `*`, 2 as a whole."""
    return max((_precision(name) for name in names if fnmatchcase(_name(rpc), name)), default=0)


def _precision(name: str) -> int:
    return 1 if "*" in name else 2


def _name(rpc: Rpc) -> str:
    return rpc.path.lstrip("/")
