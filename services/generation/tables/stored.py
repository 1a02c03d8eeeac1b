"""Arrow values and schemas as fields of pydantic models, base64 in JSON; types survive, which JSON's own don't."""

import base64
from typing import Annotated

import pyarrow as pa
from pydantic import PlainSerializer, PlainValidator


def _array_to_text(array: pa.Array) -> str:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([array], names=["values"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return base64.b64encode(sink.getvalue()).decode()


def _array_from(value: object) -> pa.Array:
    if isinstance(value, pa.Array):
        return value
    if not isinstance(value, str):
        raise ValueError("an Arrow array, or one in base64, is needed")  # noqa: TRY004 pydantic wants this error
    with pa.ipc.open_stream(base64.b64decode(value)) as reader:
        return reader.read_next_batch().column(0)


def _schema_to_text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize()).decode()


def _schema_from(value: object) -> pa.Schema:
    if isinstance(value, pa.Schema):
        return value
    if not isinstance(value, str):
        raise ValueError("an Arrow schema, or one in base64, is needed")  # noqa: TRY004 pydantic wants this error
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value)))


ArrowValues = Annotated[pa.Array, PlainValidator(_array_from), PlainSerializer(_array_to_text, return_type=str)]
ArrowSchema = Annotated[pa.Schema, PlainValidator(_schema_from), PlainSerializer(_schema_to_text, return_type=str)]
