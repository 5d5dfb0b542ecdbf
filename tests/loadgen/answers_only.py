#!/usr/bin/env python3
"""`loadgen verify --answers-only` against an independent server: answers_only.py FOLDER_OF_PROGRAMS

The server below implements only the contract. verify must find each of its defects and name the field.
"""

import http.server
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import unittest
import urllib.parse

BIN = pathlib.Path(sys.argv.pop(1))
ENV = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LOADGEN_"))}
DICE = {"fair": 0.0, "risky": 0.3}  # name: error rate


class Failure(Exception):
    def __init__(self, status, code, message, headers=()):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        trace_id = self.headers["traceparent"].split("-")[1]
        headers = {"traceresponse": f"00-{trace_id}-{self.server.random.getrandbits(64):016x}-01"}
        try:
            status, body = 200, self.answer(url.path, query)
            if url.path != "/dice":
                body["trace_id"] = trace_id
        except Failure as failure:
            status = failure.status
            headers.update(failure.headers)
            body = {"error": {"code": failure.code, "message": str(failure)}, "trace_id": trace_id}
        with self.server.lock:
            status, headers, body = self.server.slip(url.path, query, status, headers, body)
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_PUT = do_DELETE = do_GET

    def answer(self, path, query):
        if path not in ("/dice", "/roll", "/roll-async"):
            raise Failure(404, "not_found", f"no such path: {path}")
        if self.command != "GET":
            raise Failure(405, "method_not_allowed", f"{self.command} is not allowed", {"Allow": "GET"})
        if path == "/dice":
            return {"identifiers": list(DICE)}
        if path == "/roll-async":
            if query.get("times", "") not in map(str, range(1, 21)):
                raise Failure(400, "invalid_parameter", "times must be a whole number from 1 to 20")
            if query.get("strategy", "best-effort") not in ("all-or-nothing", "best-effort", "first-success"):
                raise Failure(400, "invalid_parameter", "strategy must be all-or-nothing, best-effort or first-success")
        if query.get("die") not in DICE:
            raise Failure(404, "die_not_found", "no such die")
        return self.roll(query) if path == "/roll" else self.batch(query)

    def one(self, die):
        with self.server.lock:
            return None if self.server.random.random() < DICE[die] else self.server.random.randint(1, 6)

    def roll(self, query):
        value = self.one(query["die"])
        if value is None:
            raise Failure(500, "roll_failed", "the die failed to roll")
        return {"roll": value}

    def batch(self, query):
        values = [self.one(query["die"]) for _ in range(int(query["times"]))]
        failed = [{"index": index, "error": "roll_failed"} for index, value in enumerate(values) if value is None]
        rolls = [value for value in values if value is not None]
        strategy = query.get("strategy", "all-or-nothing")
        if failed and (strategy == "all-or-nothing" or not rolls):
            raise Failure(500, "batch_failed", "a roll failed")
        if strategy == "first-success":
            rolls = rolls[:1]
        body = {"total": sum(rolls), "rolls": rolls, "count": len(rolls)}
        return {**body, "failed": failed} if failed else body

    def log_message(self, *_):
        pass


def no_slip(_path, _query, status, headers, body):
    return status, headers, body


def changing(condition, change):
    """Changes each response for which `condition(path, query, status, body)` is true."""
    def slip(path, query, status, headers, body):
        if not condition(path, query, status, body):
            return status, headers, body
        answer = {"status": status, "headers": headers, "body": body}
        change(answer)
        return answer["status"], answer["headers"], answer["body"]
    return slip


def any_answer(_path, _query, _status, _body):
    return True


def batch(_path, _query, _status, body):
    return "rolls" in body


def error(code):
    return lambda _path, _query, _status, body: body.get("error", {}).get("code") == code


# The expected finding of verify, and the defect.
SLIPS = {
    "identifiers  expected a list of names": (lambda path, *_: path == "/dice", lambda a: a["body"].update(identifiers="fair")),
    "roll  expected a whole number": (lambda path, query, status, body: "roll" in body, lambda a: a["body"].update(roll="5")),
    "rolls  expected a list of whole numbers": (batch, lambda a: a["body"]["rolls"].append("6")),
    "rolls and failed together": (batch, lambda a: a["body"].update(rolls=a["body"]["rolls"][1:], count=a["body"]["count"] - 1,
                                                                     total=sum(a["body"]["rolls"][1:]))),
    "total (the sum of the rolls)": (batch, lambda a: a["body"].update(total=a["body"]["total"] + 1)),
    "count  ": (batch, lambda a: a["body"].update(count=a["body"]["count"] + 1)),
    "failed  expected absent: this die does not fail": (
        lambda path, query, status, body: "rolls" in body and "strategy" not in query and query["die"] == "fair" and query["times"] == "5",
        lambda a: a["body"].update(failed=[])),
    "failed[].index  expected each from 0 to 9": (
        lambda path, query, status, body: "failed" in body, lambda a: a["body"]["failed"][0].update(index=10)),
    "failed[].error  expected roll_failed": (
        lambda path, query, status, body: "failed" in body, lambda a: a["body"]["failed"][0].update(error="bad luck")),
    "trace_id (must be that of the traceparent sent)": (batch, lambda a: a["body"].update(trace_id="0" * 31 + "1")),
    "trace id of the header traceresponse": (any_answer, lambda a: a["headers"].pop("traceresponse")),
    "body  ": (lambda path, *_: path == "/dice", lambda a: a.update(body=["fair", "risky"])),
    "status  expected 404 die_not_found": (error("die_not_found"), lambda a: a["body"]["error"].update(code="not_found")),
    "status  expected 400 invalid_parameter": (error("invalid_parameter"), lambda a: a.update(status=422)),
    "error.message  expected names times": (error("invalid_parameter"), lambda a: a["body"]["error"].update(message="that is bad")),
    "error.message  expected a string": (error("not_found"), lambda a: a["body"]["error"].pop("message")),
    "header Allow  expected GET": (error("method_not_allowed"), lambda a: a["headers"].pop("Allow")),
}


class Server(http.server.ThreadingHTTPServer):
    """A context manager that serves on a separate thread."""
    daemon_threads = True

    def __init__(self, queue):
        self.request_queue_size = queue
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


def verify(server, seed, slip=no_slip):
    server.random = random.Random(seed)
    server.slip = slip
    done = subprocess.run([BIN / "loadgen", "verify", "--answers-only", "--url", f"http://127.0.0.1:{server.server_port}"],
                          env=ENV, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


class AnswersOnly(unittest.TestCase):
    def test_passes_for_any_seed(self):
        with Server(queue=128) as server:
            for seed in range(10):
                with self.subTest(seed=seed):
                    code, out = verify(server, seed)
                    self.assertEqual(code, 0, out)
                    self.assertIn("not checked: everything except the answers: --answers-only", out)

    def test_passes_with_a_server_that_refuses_connections_of_a_burst(self):
        with Server(queue=5) as server:
            code, out = verify(server, seed=1)
            self.assertEqual(code, 0, out)

    def test_each_slip_is_found_and_named(self):
        with Server(queue=128) as server:
            for text, (condition, change) in SLIPS.items():
                with self.subTest(text):
                    # Some defects require a failed roll, which is random: repeat until there is one.
                    for seed in range(20):
                        slipped = []
                        code, out = verify(server, seed, changing(condition, lambda answer: (slipped.append(1), change(answer))))
                        if slipped:
                            break
                    self.assertTrue(slipped)
                    self.assertEqual(code, 1, out)
                    self.assertIn(text, out)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
