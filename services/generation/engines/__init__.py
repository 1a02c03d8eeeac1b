"""The engines. Adding one is a file in this package and a line here; importing this imports none of their libraries."""

from collections.abc import Mapping

from services.generation.engines.mirage import MirageEngine
from services.generation.engines.protocol import Engine
from services.generation.engines.sdv import SdvEngine

# By name. Where several have a model type, the first is its default.
ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (SdvEngine(), MirageEngine())
}  # fmt: skip
