"""The same small table in every format."""

import io
import json

import openpyxl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tests.dataset.service.platform import CSV


def small_table() -> pa.Table:
    """The table of the CSV file."""
    return pa.csv.read_csv(io.BytesIO(CSV))


def as_file(table_format: str) -> bytes:
    """The table as a file."""
    table = small_table()
    rows = [
        {name: str(value) if name == "joined" else value for name, value in row.items()} for row in table.to_pylist()
    ]
    sink = io.BytesIO()
    match table_format:
        case "csv":
            return CSV
        case "json":
            return json.dumps(rows).encode()
        case "jsonl":
            return "".join(json.dumps(row) + "\n" for row in rows).encode()
        case "parquet":
            pa.parquet.write_table(table, sink)
        case "xlsx":
            workbook = openpyxl.Workbook()
            sheet = workbook.active
            sheet.append(table.column_names)
            for row in table.to_pylist():
                sheet.append(list(row.values()))
            workbook.save(sink)
    return sink.getvalue()
