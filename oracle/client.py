"""A program written for the metering API, pointed at Tallyport: only the host name is changed.

Python's standard library is all it uses. It logs in both ways, asks for every kind of export as
programs of the family do, polls, downloads, reads the ZIPs, and holds the kinds against each other
and against what the demo told of its own exports. Exit code 0: all well. 1: something is not.

    python oracle/client.py --url http://127.0.0.1:8080 --demo demo.json
"""

import argparse
import csv
import io
import json
import pathlib
import sys
import time
import urllib.error
import urllib.request
import zipfile
from decimal import Decimal

JANUARY = {"startDate": "2013-01-01T00:00:00Z", "endDate": "2013-01-31T23:59:59Z"}
METERING = "/public/core/v3/license/metering/"
EXPORT = "ExportMeteringData"
ALL_LINKED = "ExportMeteringDataAllLinkedOrgsAcrossRegion"
JOB_LEVEL = "ExportServiceJobLevelMeteringData"
MEMBERS = ["jobId", "status", "orgId", "userId", "selectedOrgId", "meterId", "startDate", "endDate",
           "callbackUrl", "createTime", "updateTime"]
HEADERS = {
    "SUMMARY": "OrgId,MeterId,MeterName,Date,BillingPeriodStartDate,BillingPeriodEndDate,"
               "MeterUsage,IPU,Scalar,MetricCategory,OrgName,OrgType,IPURate",
    "PROJECT_FOLDER": "Date,Project,Folder,Org ID,Org Type,Consumption (IPUs)",
    "ASSET": "Meter ID,Meter Name,Date,Asset Name,Asset Type,Project,Folder,Org ID,Org Type,"
             "Environment Name,Environment Type,Tier,IPU Per Unit,Usage,Consumption (IPUs)",
    "JOB_LEVEL": "Task ID,Task Name,Task Object Name,Task Type,Task Run ID,Project Name,"
                 "Folder Name,Org ID,Environment ID,Environment,Cores Used,Start Time,End Time,"
                 "Status,Metered Value,Audit Time,OBM Task Time(s)",
}
POLL_SECONDS = 0.2
WAIT_SECONDS = 600
TIMEOUT_SECONDS = 60


class Wrong(Exception):
    """Something is not as a program of the family expects it."""


def expect(holds, what):
    """Stops with `what` unless it holds."""
    if not holds:
        raise Wrong(what)


def send(method, url, body=None, headers=None):
    """Status and bytes of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"} | (headers or {})
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


class Client:
    """A session, by either login."""

    def __init__(self, host, user, password, version):
        if version == 3:
            body = {"username": user, "password": password}
            answer = self.json("POST", f"{host}/saas/public/core/v3/login", body)
            expect(len(answer["products"]) == 1, "login names one product")
            product = answer["products"][0]
            expect(product["name"] == "Integration Cloud", f"the product is {product['name']}")
            self.base, self.session = product["baseApiUrl"], answer["userInfo"]["sessionId"]
        else:
            body = {"@type": "login", "username": user, "password": password}
            answer = self.json("POST", f"{host}/ma/api/v2/user/login", body)
            self.base, self.session = answer["serverUrl"], answer["icSessionId"]
        self.version = version
        expect(self.base.endswith("/saas"), f"{self.base} does not end in /saas")

    def json(self, method, url, body=None, headers=None):
        """The body of an answer that must be a good one."""
        status, text = send(method, url, body, headers)
        expect(status == 200, f"{method} {url} answered {status}: {text.decode()}")
        return json.loads(text)

    def headers(self):
        """What every call carries."""
        return {"INFA-SESSION-ID": self.session}

    def run(self, resource, **fields):
        """Asks for an export, waits for its end, and gives its tables by file name."""
        # The documentation writes one URL with a doubled slash; programs copied it.
        request = JANUARY | fields
        job = self.json("POST", f"{self.base}/{METERING}{resource}", request, self.headers())
        check_job(job, resource, request)
        status = f"{self.base}{METERING}{EXPORT}/{job['jobId']}"
        started = time.monotonic()
        while job["status"] in ("CREATED", "PROCESSING"):
            expect(time.monotonic() - started < WAIT_SECONDS, f"{job['jobId']} does not end")
            time.sleep(POLL_SECONDS)
            job = self.json("GET", status, headers=self.headers())
        expect(job["status"] == "SUCCESS", f"{resource} {fields} ended as {job}")
        headers = self.headers() | {"Accept": "application/octet-stream, */*"}
        code, body = send("GET", f"{status}/download", headers=headers)
        expect(code == 200, f"the download answered {code}: {body[:200]!r}")
        return tables(body)

    def log_out(self):
        """Ends the session."""
        path = "/public/core/v3/logout" if self.version == 3 else "/api/v2/user/logout"
        name = "INFA-SESSION-ID" if self.version == 3 else "icSessionId"
        status, _ = send("POST", self.base + path, headers={name: self.session})
        expect(status == 200, f"logout answered {status}")
        status, body = send("GET", f"{self.base}{METERING}{EXPORT}/x", headers=self.headers())
        expect(status == 401 and len(json.loads(body)["error"]["requestId"]) == 22,
               f"after logout: {status} {body.decode()}")


def check_job(job, resource, request):
    """The first answer: its members in their order, and what it echoes."""
    members = list(MEMBERS)
    if resource == ALL_LINKED:
        members[members.index("meterId")] = "combinedMeterUsage"
    if resource == JOB_LEVEL:
        members.insert(members.index("meterId"), "allMeters")
    expect(list(job) == members, f"{resource} answered {list(job)}")
    for name in ("startDate", "endDate"):
        expect(job[name] == request[name], f"{name} came back as {job[name]}")
    expect(job["orgId"] == job["selectedOrgId"], f"two organizations: {job}")


def tables(body):
    """(header, rows as dictionaries) of every CSV of a ZIP by file name."""
    files = {}
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        expect(archive.testzip() is None, "a checksum is wrong")
        for name in archive.namelist():
            expect("/" not in name and name not in files, f"{name} is no plain name of its own")
            text = archive.read(name).decode()
            expect(text.endswith("\n") and "\r" not in text, f"{name}: line ends")
            files[name] = text.split("\n", 1)[0], list(csv.DictReader(io.StringIO(text)))
    return files


def rows_of(files, kind):
    """The rows of all files, whose header must be that of the kind."""
    for name, (header, _) in files.items():
        expect(header == HEADERS[kind], f"{name} of {kind} begins with {header}")
    return [row for _, rows in files.values() for row in rows]


def total(rows, column, chosen=lambda row: True):
    """The sum of a column."""
    return sum((Decimal(row[column]) for row in rows if chosen(row)), Decimal(0))


def is_usage(row):
    """Whether a row of a summary is neither a roll-up nor a fee."""
    return row["MetricCategory"] != "ORGS"


def run(client, demo):
    """Every kind of export; gives a line of figures for each."""
    told = {export["kind"]: export for export in demo["exports"]}
    root, meter = demo["organizations"][0]["id"], demo["meters"][0]["id"]
    every = sorted(f"{organization['id']}.csv" for organization in demo["organizations"])

    def same(kind, rows, figure):
        export = told[kind]
        expect((rows, figure) == (export["rows"], Decimal(export["total"])),
               f"{kind}: {rows} rows, {figure}; the demo told {export['rows']}, {export['total']}")
        return f"{kind}: {rows} rows, {figure.normalize():f}"

    own = client.run(EXPORT, jobType="SUMMARY")
    expect(list(own) == [f"{root}.csv"], f"a summary of one organization holds {list(own)}")
    summary = rows_of(own, "SUMMARY")
    ipu = total(summary, "IPU", is_usage)
    yield f"SUMMARY: {len(summary)} rows, {ipu.normalize():f} IPU"

    linked = client.run(ALL_LINKED, combinedMeterUsage="FALSE")
    expect(sorted(linked) == every, f"the older summary holds {sorted(linked)}")
    rows = rows_of(linked, "SUMMARY")
    expect([row for row in rows if row["OrgId"] == root] == summary, "two summaries differ")
    of_meter = total(rows, "MeterUsage", lambda row: row["MeterId"] == meter)
    yield same("SUMMARY_ALL_LINKED", len(rows), of_meter)

    combined = client.run(EXPORT, jobType="SUMMARY", allLinkedOrgs=True, combinedMeterUsage="true")
    expect(list(combined) == [f"{root}.csv"], f"a combined summary holds {list(combined)}")
    order = lambda row: (row["OrgId"], row["Date"], row["MeterId"])
    both = sorted(rows_of(combined, "SUMMARY"), key=order), sorted(rows, key=order)
    expect(both[0] == both[1], "the combined summary has other rows than the single files")
    yield f"SUMMARY, all in one: {len(rows)} rows"

    folders = client.run(EXPORT, jobType="PROJECT_FOLDER", allLinkedOrgs="TRUE")
    expect(sorted(folders) == every, f"PROJECT_FOLDER holds {sorted(folders)}")
    by_folder = rows_of(folders, "PROJECT_FOLDER")
    column = "Consumption (IPUs)"
    yield same("PROJECT_FOLDER", len(by_folder), total(by_folder, column))

    # This program sends the same fields whatever it asks for.
    assets = rows_of(client.run(EXPORT, jobType="ASSET", combinedMeterUsage="FALSE",
                                allLinkedOrgs="FALSE"), "ASSET")
    usage = total(assets, "Usage", lambda row: row["Meter ID"] == meter)
    yield same("ASSET", len(assets), usage)
    one = rows_of(client.run(EXPORT, jobType="ASSET", meterId=meter), "ASSET")
    expect(one == [row for row in assets if row["Meter ID"] == meter], "ASSET of one meter differs")
    of_root = total(by_folder, column, lambda row: row["Org ID"] == root)
    expect(ipu == of_root == total(assets, column),
           f"SUMMARY {ipu}, PROJECT_FOLDER {of_root}, ASSET {total(assets, column)} IPU")
    yield f"SUMMARY = PROJECT_FOLDER = ASSET: {ipu.normalize():f} IPU"

    single = client.run(JOB_LEVEL, meterId=meter)
    expect(list(single) == ["CDIMeteringAuditData.csv"], f"one meter gives {list(single)}")
    jobs = rows_of(single, "JOB_LEVEL")
    hours = total(jobs, "Metered Value", lambda row: row["Metered Value"])
    expect(hours == usage, f"jobs took {hours}, assets {usage}")
    every_meter = client.run(JOB_LEVEL, allMeters="TRUE", meterId=meter)
    expect(every_meter["CDIMeteringAuditData.csv"] == single["CDIMeteringAuditData.csv"],
           "the report of a meter differs among those of all")
    expect(all(name.endswith(".csv") for name in every_meter), f"{list(every_meter)}")
    yield f"JOB_LEVEL: {len(jobs)} rows, {hours.normalize():f}"
    rows = sum(len(rows) for _, rows in every_meter.values())
    yield same("JOB_LEVEL_ALL_METERS", rows, hours)


def main():
    """Reads the command line, and does it all with each login."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="scheme, host and port of the server")
    parser.add_argument("--demo", type=pathlib.Path, required=True)
    options = parser.parse_args()
    demo = json.loads(options.demo.read_text(), parse_float=Decimal)
    admin = demo["admin"]
    try:
        for version in (3, 2):
            client = Client(options.url, admin["user"], admin["password"], version)
            figures = list(run(client, demo))
            client.log_out()
    except Wrong as wrong:
        print(f"a program of the metering API would fail: {wrong}", file=sys.stderr)
        return 1
    print("\n".join(figures))
    print("a program of the metering API gets every kind of export, by either login")
    return 0


if __name__ == "__main__":
    sys.exit(main())
