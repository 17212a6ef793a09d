"""Receives the webhooks and callbacks of a real server and verifies them with `standardwebhooks`.

The library is another program's implementation of Standard Webhooks 1.0.0; nothing of Tallyport is
used but its binary, over HTTP. Checked: a first try and its repetition, a replay, two signatures
while an old secret and a new one overlap, a signed callback, and that the library refuses another
secret and another body. Exit code 0: all verified. 1: not.

    python oracle/webhook.py --tallyport target/debug/tallyport
"""

import argparse
import http.server
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

START_SECONDS_MAX = 60
MESSAGE_SECONDS_MAX = 60
PASSWORD = "one password for the test"
METERING = "/saas/public/core/v3/license/metering/ExportMeteringData"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps every post; answers 500 to as many as it is told to, then 204."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts = queue.Queue()
        self.refusals = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def next(self):
        return self.posts.get(timeout=MESSAGE_SECONDS_MAX)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        refuse = self.server.refusals > 0
        self.server.refusals -= refuse
        self.server.posts.put((self.path, headers, body))
        self.send_response(500 if refuse else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server:
    """A server on a folder of its own, until it is stopped."""

    def __init__(self, binary, folder):
        environment = os.environ | {
            "TALLYPORT_ADMIN_USER": "admin",
            "TALLYPORT_ADMIN_PASSWORD": PASSWORD,
            "TALLYPORT_EXPORTS_CALLBACK_ADDRESSES": "127.0.0.1",
            "TALLYPORT_LOG_FILTER": "warn",
        }
        command = [binary, "--data-dir", str(folder), "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        self.file = folder / "server.json"

    def wait(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}")
            try:
                published = json.loads(self.file.read_text())
                self.url, self.token = published["url"], published["token"]
                return
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
        raise SystemExit("the server did not start in time")

    def post(self, path, body=None, headers=None):
        headers = headers or {"authorization": f"Bearer {self.token}"}
        headers["content-type"] = "application/json"
        data = json.dumps({} if body is None else body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def refused(secret, body, headers):
    """Whether the library finds no signature of this secret."""
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def verify(post, secret, path):
    """The message of a post to a path, verified."""
    got, headers, body = post
    assert got == path, f"posted to {got} instead of {path}"
    message = Webhook(secret).verify(body, headers)
    assert refused(secret, body[:-1] + b" }", headers), "another body was verified"
    return headers["webhook-id"], message


def check_webhook(server, receiver):
    """A test event: two tries, a replay, two secrets."""
    made = server.post("/api/v1/webhooks", {"url": receiver.url("/hook")})
    path, secret = f"/api/v1/webhooks/{made['id']}", made["secret"]
    receiver.refusals = 1
    sent = server.post(f"{path}/test")
    for _ in range(2):
        identity, message = verify(receiver.next(), secret, "/hook")
        assert identity == sent["id"], "a try has another id"
        assert message["type"] == "webhook.test", message
    rotated = server.post(f"{path}/rotate", {"overlap": 600})["secret"]
    deadline = time.monotonic() + MESSAGE_SECONDS_MAX
    while True:
        try:
            server.post(f"{path}/deliveries/{identity}/replay")
            break
        except urllib.error.HTTPError as error:
            # The answer to the last try may not be noted yet.
            assert error.code == 409 and time.monotonic() < deadline, error
            time.sleep(0.05)
    post = receiver.next()
    assert verify(post, secret, "/hook")[0] == verify(post, rotated, "/hook")[0] == identity
    other = server.post(f"{path}/rotate", {"overlap": 0})["secret"]
    assert refused(other, post[2], post[1]), "a secret that did not sign was verified"
    return other


def check_callback(server, receiver, hook_secret):
    """The end of a job: at its callback URL and at the webhook, each with its own secret."""
    secret = server.post("/api/v1/webhooks", {"callbacks": True})["secret"]
    login = server.post(
        "/saas/public/core/v3/login", {"username": "admin", "password": PASSWORD}, {}
    )
    body = {
        "jobType": "SUMMARY",
        "startDate": "2026-01-01T00:00:00Z",
        "endDate": "2026-01-31T23:59:59Z",
        "callbackUrl": receiver.url("/done"),
    }
    session = {"INFA-SESSION-ID": login["userInfo"]["sessionId"]}
    job = server.post(METERING, body, session)["jobId"]
    posts = sorted([receiver.next(), receiver.next()], key=lambda post: post[0])
    for post, key, path in zip(posts, [secret, hook_secret], ["/done", "/hook"]):
        _, message = verify(post, key, path)
        assert message["type"] == "export.settled", message
        assert (message["data"]["id"], message["data"]["status"]) == (job, "SUCCESS"), message


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tallyport", required=True, help="the binary")
    options = parser.parse_args()
    receiver = Receiver()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.tallyport, pathlib.Path(folder) / "data")
        try:
            server.wait()
            check_callback(server, receiver, check_webhook(server, receiver))
        finally:
            server.process.terminate()
            server.process.wait()
    print("every webhook and callback was verified by standardwebhooks")


if __name__ == "__main__":
    sys.exit(main())
