"""Arrow's wrapped types: dictionaries, run-end encoding and extensions hold plain values, and get them back."""

import pyarrow as pa
import pyarrow.compute as pc


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values inside a wrapped type; a plain type is its own."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    return kind


def unwrapped(values: pa.Array) -> pa.Array:
    """An array's plain values."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return unwrapped(values.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return unwrapped(pc.run_end_decode(values))
    if isinstance(kind, pa.BaseExtensionType):
        return unwrapped(values.storage)
    return values


def wrapped(values: pa.Array, kind: pa.DataType, levels: pa.Array | None = None) -> pa.Array:
    """Plain values in a wrapped type. `levels` become a dictionary's entries, in this order, used or not."""
    if pa.types.is_dictionary(kind):
        inner = wrapped(values, kind.value_type)
        entries = inner.dictionary_encode().dictionary if levels is None else levels.cast(kind.value_type)
        indices = pc.index_in(inner, value_set=entries).cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, entries, ordered=kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_encode(wrapped(values, kind.value_type, levels), run_end_type=kind.run_end_type)
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, wrapped(values, kind.storage_type, levels))
    return values


def entries_in_order(values: pa.ChunkedArray) -> pa.Array | None:
    """A dictionary's entries in the order that its type says matters; None where there is none."""
    kind = values.type
    if not (pa.types.is_dictionary(kind) and kind.ordered and values.num_chunks):
        return None
    return values.unify_dictionaries().chunk(0).dictionary
