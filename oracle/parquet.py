"""Lets DuckDB read a Parquet file of an export and holds one column against rows and sum of the CSV.

    python oracle/parquet.py FILE COLUMN ROWS SUM

Exit code 0: equal to the last digit. 1: different, or not an exact decimal.
"""

import sys
from decimal import Decimal

import duckdb


def main():
    """Compares, and says what differs."""
    path, column, rows, total = sys.argv[1:]
    quoted = '"' + column.replace('"', '""') + '"'
    query = f"SELECT count(*), sum({quoted}), any_value(typeof({quoted})) FROM read_parquet(?)"
    count, found, kind = duckdb.execute(query, [path]).fetchone()
    wrong = []
    if (count, found) != (int(rows), Decimal(total)):
        wrong.append(f"{column}: {count} rows of {found}, the CSV has {rows} of {total}")
    if not kind.startswith("DECIMAL(38,"):
        wrong.append(f"{column} is {kind}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
