"""Checks the exports of `tallyport demo` against the raw flights, computed by DuckDB alone.

Nothing here shares code or intermediate results with Tallyport: the flights come from the raw
tables, the rules from data/flights/README.md and the demo's setup, the exports from the ZIPs.
Every row is compared, to the last decimal. Exit code 0: equal. 1: different. 2: wrong use.

    python oracle/check.py --flights data/flights --demo demo.json
    python oracle/check.py --flights flights.csv.zip --demo demo.json --full-year
"""

import argparse
import csv
import io
import json
import pathlib
import sys
import tempfile
import zipfile
from decimal import ROUND_HALF_UP, Decimal

import duckdb

# Meter slug -> IPU rate, units of usage per unit of the rate, scalar, metric category.
METERS = {
    "hours": (Decimal("0.16"), 1, "HOURS", "COMPUTE_UNITS"),
    "miles": (Decimal("0.25"), 1000, "THOUSAND_MILES", "DISTANCE"),
}
# Meter of an organization's children -> the kind of the children.
ROLL_UPS = {
    "c6ksUl786egib9ZAPb0OYf": "sub_organization",
    "c6vq9jira786LE0O2UReWT": "sandbox",
}
FEES = {
    "5Ariu53Z8gobF4KYsmTg4Z": "sub_organization",
    "2z4IqaoycKEextVpoCisuL": "sandbox",
}
FEE_PRICE = Decimal(6)
DIFFERENCES_SHOWN = 10
# The days of all kinds but SUMMARY and JOB_LEVEL.
JANUARY = ("2013-01-01", "2013-01-31")

# One line per flight. Hours are counted in millionths, rounded half up, which for air times is half
# away from zero. Without air time nothing was used: an error at the scheduled instant.
FLIGHTS = """
CREATE TABLE flights AS
SELECT {row} AS run, carrier, flight, tailnum, type, origin, dest, distance::BIGINT AS miles,
       (2000000 * air_time::BIGINT + 60) // 120 AS micro_hours,
       CASE WHEN air_time IS NULL THEN 0 ELSE dep_delay::BIGINT END AS delay,
       time_hour::TIMESTAMP + to_minutes(minute::BIGINT + delay) AS start_time,
       start_time + to_minutes(coalesce(air_time::BIGINT, 0)) AS end_time,
       CASE WHEN air_time IS NULL THEN 'ERROR' WHEN delay > 60 THEN 'WARNING'
            ELSE 'SUCCESS' END AS status
FROM {table} LEFT JOIN {planes} USING (tailnum)
"""
PLANES = pathlib.Path(__file__).parent.parent / "data" / "flights" / "planes.csv.zst"


def open_flights(database, path, folder):
    """Loads the table from a folder of the repository, a CSV (packed or not) or a ZIP of one."""
    if path.is_dir():
        path = path / "flights.csv.zst"
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            path = pathlib.Path(archive.extract(name, folder))
    def read(path):
        text = str(path).replace("'", "''")
        return f"read_csv('{text}', nullstr='NA', all_varchar=true, parallel=false)"

    table, planes = read(path), f"(SELECT tailnum, type FROM {read(PLANES)})"
    columns = [row[0] for row in database.sql(f"DESCRIBE SELECT * FROM {table}").fetchall()]
    row = "row::BIGINT" if "row" in columns else "row_number() OVER ()"
    numbered = f"(SELECT *, {row} AS number FROM {table})"
    database.execute(FLIGHTS.format(row="number", table=numbered, planes=planes))


def fixed(value, decimals):
    """Spells a number with so many decimals, rounded half away from zero."""
    return str(value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


def expected_summary(database, demo, carriers):
    """(organization, date, meter) -> (usage, IPU, scalar, category, name) as printed."""
    by_id = {organization["id"]: organization for organization in demo["organizations"]}
    ids = {meter["slug"]: meter["id"] for meter in demo["meters"]}
    rows, roll_ups = {}, {}
    days = database.sql("""
        SELECT carrier, end_time::DATE, sum(micro_hours), sum(miles)
        FROM flights WHERE micro_hours IS NOT NULL GROUP BY ALL
    """)
    for carrier, day, micro_hours, miles in days.fetchall():
        organization = by_id[carriers[carrier]]
        for slug, (usage, ipu) in worth(micro_hours, miles).items():
            rate, _, scalar, category = METERS[slug]
            rows[organization["id"], str(day), ids[slug]] = (
                fixed(usage, 10), fixed(ipu, 12), fixed(rate, 6), scalar, category,
                organization["name"],
            )
            for meter, kind in ROLL_UPS.items():
                if organization["kind"] == kind:
                    key = organization["parentId"], str(day), meter
                    roll_ups[key] = roll_ups.get(key, Decimal(0)) + ipu
    for (parent, day, meter), ipu in roll_ups.items():
        name = by_id[parent]["name"]
        rows[parent, day, meter] = ("null", fixed(ipu, 12), "null", "IPU", "ORGS", name)
    return rows


def expected_fees(demo, first_days):
    """(organization, first day of a billing period, meter) -> the fee's row as printed."""
    rows = {}
    for parent in demo["organizations"]:
        for meter, kind in FEES.items():
            under = [o for o in demo["organizations"] if o["parentId"] == parent["id"]]
            count = Decimal(sum(child["kind"] == kind for child in under))
            for day in first_days if count else []:
                rows[parent["id"], day, meter] = (
                    fixed(count, 10), fixed(count * FEE_PRICE, 12), fixed(FEE_PRICE, 6),
                    "PER_ORG", "ORGS", parent["name"],
                )
    return rows


def worth(micro_hours, miles):
    """What flights used, and the IPUs of that, by meter."""
    used = {"hours": Decimal(int(micro_hours)).scaleb(-6), "miles": Decimal(int(miles))}
    return {slug: (used[slug], used[slug] * rate / factor)
            for slug, (rate, factor, *_) in METERS.items()}


def expected_folders(database, carriers):
    """(organization, date, project, folder) -> IPUs as printed, of January."""
    groups = database.execute("""
        SELECT carrier, end_time::DATE, origin, dest, sum(micro_hours), sum(miles)
        FROM flights WHERE micro_hours IS NOT NULL AND end_time::DATE BETWEEN ? AND ? GROUP BY ALL
    """, JANUARY)
    return {
        (carriers[carrier], str(day), origin, dest):
            fixed(sum(ipu for _, ipu in worth(micro_hours, miles).values()), 12)
        for carrier, day, origin, dest, micro_hours, miles in groups.fetchall()
    }


def expected_assets(database, carrier, ids):
    """(meter, date, asset, type, project, folder) -> usage, IPUs and rate as printed, of January."""
    groups = database.execute("""
        SELECT end_time::DATE, tailnum, type, origin, dest, sum(micro_hours), sum(miles)
        FROM flights WHERE micro_hours IS NOT NULL AND carrier = ?
            AND end_time::DATE BETWEEN ? AND ? GROUP BY ALL
    """, [carrier, *JANUARY])
    return {
        (ids[slug], str(day), asset or "null", kind or "null", origin, dest):
            (fixed(usage, 12), fixed(ipu, 12), fixed(METERS[slug][0], 6), "0.000 +")
        for day, asset, kind, origin, dest, micro_hours, miles in groups.fetchall()
        for slug, (usage, ipu) in worth(micro_hours, miles).items()
    }


def expected_miles(database, carrier):
    """Run -> asset, project, folder, status and miles of a flight of January."""
    flights = database.execute("""
        SELECT run, tailnum, origin, dest, status,
               CASE WHEN micro_hours IS NULL THEN '' ELSE miles::VARCHAR END
        FROM flights WHERE carrier = ? AND end_time::DATE BETWEEN ? AND ?
    """, [carrier, *JANUARY])
    return {str(run): (asset or "", *rest) for run, asset, *rest in flights.fetchall()}


def expected_jobs(database, carrier, organization, days=("2012-12-31", "2014-01-02")):
    """Run -> every other column of a flight's line that says something."""
    flights = database.execute("""
        SELECT run, flight, origin, dest, strftime(start_time, '%Y-%m-%d %H:%M:%S.0'),
               strftime(end_time, '%Y-%m-%d %H:%M:%S.0'), status, micro_hours
        FROM flights WHERE carrier = ? AND end_time::DATE BETWEEN ? AND ?
    """, [carrier, *days])
    return {
        str(run): (flight, flight, origin, dest, organization, start, end, status,
                   None if hours is None else Decimal(int(hours)).scaleb(-6).normalize(), end)
        for run, flight, origin, dest, start, end, status, hours in flights.fetchall()
    }


def tables(path):
    """(file name, rows as dictionaries) of every CSV in a ZIP; checksums are checked."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            text = io.StringIO(archive.read(name).decode(), newline="")
            yield name, list(csv.DictReader(text))


def read_summaries(exports):
    """The rows of all summaries by their key, the files' names, and what is wrong in itself."""
    rows, names, wrong = {}, set(), []
    for export in exports:
        for name, table in tables(export["path"]):
            names.add(name)
            order = [(row["Date"], row["MeterId"]) for row in table]
            if order != sorted(order):
                wrong.append(f"{name}: not ordered by date and meter")
            for row in table:
                key = row["OrgId"], row["Date"].removesuffix(" 00:00:00.0"), row["MeterId"]
                if key in rows or name != f"{row['OrgId']}.csv":
                    wrong.append(f"{name}: {key} is there twice or in the wrong file")
                rows[key] = tuple(row[column] for column in (
                    "MeterUsage", "IPU", "IPURate", "Scalar", "MetricCategory", "OrgName"))
    return rows, names, wrong


def read_folders(exports):
    """The rows by project and folder by their key, and what is wrong in itself."""
    rows, wrong = {}, []
    for name, table in (file for export in exports for file in tables(export["path"])):
        for row in table:
            day = row["Date"].removesuffix("T00:00:00Z")
            key = row["Org ID"], day, row["Project"], row["Folder"]
            if key in rows or name != f"{row['Org ID']}.csv":
                wrong.append(f"{name}: {key} is there twice or in the wrong file")
            rows[key] = row["Consumption (IPUs)"]
    return rows, wrong


def read_assets(exports, root):
    """The rows by asset by their key, and what is wrong in itself."""
    rows, wrong = {}, []
    for name, table in (file for export in exports for file in tables(export["path"])):
        for row in table:
            day = row["Date"].removesuffix("T00:00:00Z")
            key = (row["Meter ID"], day, *(row[column] for column in (
                "Asset Name", "Asset Type", "Project", "Folder")))
            if key in rows or name != f"{root}.csv" or row["Org ID"] != root:
                wrong.append(f"{name}: {key} is there twice or in the wrong file")
            rows[key] = tuple(row[column] for column in (
                "Usage", "Consumption (IPUs)", "IPU Per Unit", "Tier"))
        meters = [row["Meter ID"] for row in table]
        changes = sum(meter != before for meter, before in zip(meters, [None, *meters]))
        if changes != len(set(meters)):
            wrong.append(f"{name}: the rows of a meter do not follow each other")
    return rows, wrong


def read_miles(exports, name):
    """The lines of the report with our own columns by run."""
    rows = {}
    for file, table in (file for export in exports for file in tables(export["path"])):
        for row in table if file == name else []:
            rows[row["Task Run ID"]] = tuple(row[column] for column in (
                "Asset", "Project", "Folder", "Status", "Quantity"))
    return rows


def read_jobs(exports):
    """The lines of all job-level reports by run, and what is wrong in itself."""
    rows, wrong = {}, []
    for export in exports:
        for name, table in tables(export["path"]):
            if not name.startswith("CDI"):
                continue
            times = [row["Audit Time"] for row in table]
            if times != sorted(times):
                wrong.append(f"{name}: not ordered by audit time")
            for row in table:
                run, hours = row["Task Run ID"], row["Metered Value"]
                if run in rows:
                    wrong.append(f"{name}: run {run} is there twice")
                rows[run] = tuple(row[column] for column in (
                    "Task ID", "Task Name", "Project Name", "Folder Name", "Org ID", "Start Time",
                    "End Time", "Status")) + (
                    Decimal(hours).normalize() if hours else None, row["Audit Time"])
    return rows, wrong


def differences(what, expected, found):
    """One line for each key whose value differs."""
    for key in sorted(set(expected) | set(found), key=str):
        if expected.get(key) != found.get(key):
            yield f"{what} {key}: expected {expected.get(key)}, exported {found.get(key)}"


def totals_wrong(exports, sums):
    """The demo's own totals and row counts against what its files hold."""
    total = sum((Decimal(str(export["total"])) for export in exports), Decimal(0))
    rows = sum(export["rows"] for export in exports)
    if (total, rows) != sums:
        yield f"{exports[0]['kind']}: told total {total} of {rows} rows, the files hold {sums}"


def check(demo, database, carriers):
    """Lines of differences, and a line of figures for each kind of export."""
    kinds = {}
    for export in demo["exports"]:
        kinds.setdefault(export["kind"], []).append(export)
    ids = {meter["slug"]: meter["id"] for meter in demo["meters"]}
    root = demo["organizations"][0]["id"]
    carrier = next(code for code, organization in carriers.items() if organization == root)

    found, names, wrong = read_summaries(kinds["SUMMARY"])
    first_days = sorted({day for _, day, meter in found if meter in FEES})
    wrong += [f"a fee on {day}" for day in first_days if not day.endswith("-01")]
    summary = expected_summary(database, demo, carriers) | expected_fees(demo, first_days)
    wrong += differences("SUMMARY", summary, found)
    wrong += differences("SUMMARY file", {f"{o['id']}.csv": 1 for o in demo["organizations"]},
                         dict.fromkeys(names, 1))
    usage = sum((Decimal(row[0]) for key, row in summary.items() if key[2] == ids["hours"]),
                Decimal(0))
    ipu = consumed(summary)
    wrong += totals_wrong(kinds["SUMMARY"], (usage, len(found)))
    figures = [f"SUMMARY: {len(found)} rows, {usage.normalize():f} hours, {ipu.normalize():f} IPU"]

    jobs = expected_jobs(database, carrier, root)
    lines, disorder = read_jobs(kinds["JOB_LEVEL"])
    wrong += disorder
    wrong += differences("JOB_LEVEL run", jobs, lines)
    usage = sum((row[8] for row in jobs.values() if row[8] is not None), Decimal(0))
    wrong += totals_wrong(kinds["JOB_LEVEL"], (usage, len(lines)))
    figures.append(f"JOB_LEVEL: {len(lines)} rows, {usage.normalize():f} hours")

    january = {key: row for key, row in summary.items() if key[1] <= JANUARY[1]}
    for lines, line in (check_linked(kinds["SUMMARY_ALL_LINKED"], january, ids["hours"]),
                        check_details(database, kinds, january, carriers, root, ids),
                        check_all_meters(database, kinds, carrier, root, ids)):
        wrong += lines
        figures += line
    return wrong, figures


def consumed(summary, organization=None):
    """IPUs of summary rows, of one organization or of all; what parents repeat is left out."""
    rows = (row for key, row in summary.items() if organization in (None, key[0]))
    return sum((Decimal(row[1]) for row in rows if row[4] != "ORGS"), Decimal(0))


def check_linked(exports, january, hours):
    """The older summary against the rows of January."""
    found, _, wrong = read_summaries(exports)
    wrong += differences("SUMMARY_ALL_LINKED", january, found)
    usage = sum((Decimal(row[0]) for key, row in january.items() if key[2] == hours), Decimal(0))
    wrong += totals_wrong(exports, (usage, len(found)))
    return wrong, [f"SUMMARY_ALL_LINKED: {len(found)} rows, {usage.normalize():f} hours"]


def check_details(database, kinds, january, carriers, root, ids):
    """By project and folder and by asset; and that both are worth what the summary is."""
    carrier = next(code for code, organization in carriers.items() if organization == root)
    folders, wrong = read_folders(kinds["PROJECT_FOLDER"])
    wrong += differences("PROJECT_FOLDER", expected_folders(database, carriers), folders)
    ipu = sum(map(Decimal, folders.values()), Decimal(0))
    wrong += totals_wrong(kinds["PROJECT_FOLDER"], (ipu, len(folders)))
    figures = [f"PROJECT_FOLDER: {len(folders)} rows, {ipu.normalize():f} IPU"]

    assets, disorder = read_assets(kinds["ASSET"], root)
    wrong += disorder
    wrong += differences("ASSET", expected_assets(database, carrier, ids), assets)
    usage = sum((Decimal(row[0]) for key, row in assets.items() if key[0] == ids["hours"]),
                Decimal(0))
    wrong += totals_wrong(kinds["ASSET"], (usage, len(assets)))
    worth_of_assets = sum((Decimal(row[1]) for row in assets.values()), Decimal(0))
    figures.append(f"ASSET: {len(assets)} rows, {usage.normalize():f} hours, "
                   f"{worth_of_assets.normalize():f} IPU")

    for organization in carriers.values():
        by_folder = sum((Decimal(row) for key, row in folders.items() if key[0] == organization),
                        Decimal(0))
        equal = {consumed(january, organization), by_folder}
        if organization == root:
            equal.add(worth_of_assets)
        if len(equal) != 1:
            wrong.append(f"{organization}: SUMMARY, PROJECT_FOLDER and ASSET are worth {equal}")
    return wrong, figures


def check_all_meters(database, kinds, carrier, root, ids):
    """The job-level reports of all meters: one for each layout."""
    exports = kinds["JOB_LEVEL_ALL_METERS"]
    jobs = expected_jobs(database, carrier, root, JANUARY)
    lines, wrong = read_jobs(exports)
    wrong += differences("JOB_LEVEL_ALL_METERS run", jobs, lines)
    own = f"JobDetails_{ids['miles']}.csv"
    miles = read_miles(exports, own)
    wrong += differences(own, expected_miles(database, carrier), miles)
    usage = sum((row[8] for row in jobs.values() if row[8] is not None), Decimal(0))
    rows = len(lines) + len(miles)
    wrong += totals_wrong(exports, (usage, rows))
    return wrong, [f"JOB_LEVEL_ALL_METERS: {rows} rows, {usage.normalize():f} hours"]


def main():
    """Reads the command line, checks, and says what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flights", type=pathlib.Path, required=True)
    parser.add_argument("--demo", type=pathlib.Path, required=True)
    parser.add_argument("--full-year", action="store_true", help="expect all 336,776 flights")
    options = parser.parse_args()
    demo = json.loads(options.demo.read_text(), parse_float=Decimal)
    names = pathlib.Path(__file__).parent.parent / "data" / "flights" / "airlines.csv"
    by_name = {organization["name"]: organization["id"] for organization in demo["organizations"]}
    with names.open(newline="") as table:
        carriers = {row["carrier"]: by_name[row["name"]] for row in csv.DictReader(table)}
    database = duckdb.connect()
    with tempfile.TemporaryDirectory() as folder:
        open_flights(database, options.flights, folder)
    ((flown,),) = database.sql("SELECT count(micro_hours) FROM flights").fetchall()
    wrong, figures = check(demo, database, carriers)
    if options.full_year and flown != 327346:
        wrong.insert(0, f"{options.flights}: {flown} flights with air time, expected 327346")
    for line in figures:
        print(line)
    for line in wrong[:DIFFERENCES_SHOWN]:
        print(f"different: {line}", file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} differences from the raw flights", file=sys.stderr)
        return 1
    print(f"equal to the raw flights ({flown} flights with air time) to the last decimal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
