"""Tables as files: a Parquet table streamed in any format that people ask for, with its types kept.

Integers stay integers, dates stay dates, what is missing stays missing, and names and their order stay. Imports Arrow,
so only services that handle tables import this package.
"""

from servicekit.tabular.formats import (
    FORMATS,
    TableTooLarge,
    content_type,
    ensure_fits,
    file_extension,
    stream_batches,
    stream_table,
)

__all__ = [
    "FORMATS",
    "TableTooLarge",
    "content_type",
    "ensure_fits",
    "file_extension",
    "stream_batches",
    "stream_table",
]
