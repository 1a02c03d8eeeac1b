"""Looks for somebody in a database: in every row of every table, whatever the column is called."""

from collections.abc import Iterable

import asyncpg

_TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND has_schema_privilege(schemaname, 'USAGE')
    ORDER BY 1, 2
"""


async def traces(dsn: str, needles: Iterable[str]) -> list[str]:
    """Where in the tables that a role can read any of some texts stands: rows, as `schema.table: row`.

    A row is looked at as PostgreSQL writes it; bytes are looked at as text and as hexadecimal digits.
    """
    found = []
    connection = await asyncpg.connect(dsn)
    try:
        for schema, table in await connection.fetch(_TABLES):
            for needle in needles:
                rows = await connection.fetch(
                    f'SELECT t::text AS row FROM "{schema}"."{table}" AS t '  # noqa: S608 - names of the database's own
                    "WHERE strpos(lower(t::text), lower($1)) > 0 OR strpos(t::text, encode($1::bytea, 'hex')) > 0 "
                    "OR strpos(t::text, replace($1, '-', '')) > 0",
                    needle,
                )
                found += [f"{schema}.{table}: {row['row'][:300]}" for row in rows]
    finally:
        await connection.close()
    return found
