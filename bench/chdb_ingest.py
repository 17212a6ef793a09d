"""Inserts one file of CloudEvents into MergeTree tables of chDB and prints the seconds it took.

Usage: chdb_ingest.py FILE FOLDER. The file has one JSON event per line. Each table is created
empty in FOLDER, filled by one INSERT in the JSONEachRow format, and counted afterwards.
"""

import json
import sys
import time

from chdb.session import Session

COLUMNS = """
    specversion LowCardinality(String), id String, source LowCardinality(String),
    type LowCardinality(String), time DateTime, subject String,
    datacontenttype LowCardinality(String), data {data}
"""


def insert(session, path, data):
    """Fills a fresh table whose data column has the given type."""
    table = f"events_{data.lower()}"
    columns = COLUMNS.format(data=data)
    session.query(f"CREATE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY (type, time)")
    start = time.monotonic()
    session.query(
        f"INSERT INTO {table} SELECT * FROM file('{path}', JSONEachRow, '{columns}')"
        " SETTINGS fsync_metadata = 1, date_time_input_format = 'best_effort',"
        " input_format_json_read_objects_as_strings = 1"
    )
    seconds = time.monotonic() - start
    rows = int(session.query(f"SELECT count() FROM {table}", "TSV").data())
    session.query(f"DROP TABLE {table} SYNC")
    return {"seconds": seconds, "rows": rows}


def main():
    """Measures both types of the data column."""
    path, folder = sys.argv[1:]
    session = Session(folder)
    session.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    session.query("USE bench")
    version = session.query("SELECT version()", "TSV").data().strip()
    document = {data.lower(): insert(session, path, data) for data in ("JSON", "String")}
    print(json.dumps({"version": version, **document}))


if __name__ == "__main__":
    main()
