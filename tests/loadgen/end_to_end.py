#!/usr/bin/env python3
"""loadgen against the three programs on free ports: end_to_end.py FOLDER_OF_PROGRAMS"""

import collections
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.error
import urllib.request
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import run  # noqa: E402

BIN = pathlib.Path(sys.argv.pop(1))
ENV = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LOADGEN_"))}
# When it is stopped in the middle of a check, the process ends without waiting for the check's threads.
CANARY_ENV = {**ENV, "TSAN_OPTIONS": ENV.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"}


def loadgen(*arguments, env=None):
    done = subprocess.run([BIN / "loadgen", *map(str, arguments)], env={**ENV, **(env or {})}, capture_output=True,
                          text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def unused_port():
    """Outside of the range from which the kernel chooses ports for others."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as one:
            try:
                one.bind(("", port))
                return port
            except OSError:
                continue


def outcomes(summary):
    return collections.Counter({(route, outcome): count for route, one in summary["routes"].items()
                                for outcome, count in one["outcomes"].items()})


class Parts:
    """Several processes that share one run; those of the indices in `absent` are never started."""

    def __init__(self, url, count, *arguments, absent=()):
        self.ports = [unused_port() for _ in range(count)]
        peers = ",".join(f"http://127.0.0.1:{port}" for port in self.ports)
        self.processes = [subprocess.Popen(
            [BIN / "loadgen", "traffic", "--url", url, "--parts", str(count), "--metrics-port", str(port), "--peers", peers, "--json", *arguments],
            env={**ENV, "JOB_COMPLETION_INDEX": str(index)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for index, port in enumerate(self.ports) if index not in absent]
        self._results = None

    def metrics(self, index):
        """Empty until it is started."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[index]}/metrics") as answer:
                return answer.read().decode()
        except urllib.error.URLError:
            return ""

    def results(self, timeout=30):
        """[(exit code, standard output, standard error)]"""
        if not self._results:
            texts = [process.communicate(timeout=timeout) for process in self.processes]
            self._results = [(process.returncode, *text) for process, text in zip(self.processes, texts)]
        return self._results

    def kill(self):
        for process in self.processes:
            process.kill()
            process.communicate()


class EndToEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="loadgen-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.system = run.System(BIN, cls.folder / "logs", free_ports=True)
        cls.system.start({"all": {"OTEL_TRACES_EXPORTER": "none"}, "dice-roller": {"ROLL_DELAY_MIN_SECONDS": "0.11", "ROLL_DELAY_MAX_SECONDS": "0.3"}})
        cls.addClassCleanup(cls.system.stop)

    def verify(self, *more, logs=None):
        return loadgen("verify", "--url", self.system.url("frontend"), "--logs", logs or self.folder / "logs",
                       "--metrics", ",".join(self.system.metrics_urls.values()), *more)

    def test_verify_holds(self):
        junit = self.folder / "verify.xml"
        code, out, err = self.verify("--json", "--junit", junit)
        self.assertEqual(code, 0, out + err)
        report = json.loads(out)
        self.assertTrue(report["passed"])
        self.assertEqual(set(report["signals"]), {"answers", "traces", "logs", "metrics", "correlation"})
        self.assertEqual({suite.get("failures") for suite in xml.etree.ElementTree.parse(junit).iter("testsuite")}, {"0"})

    def test_verify_holds_while_others_use_the_system(self):
        others = threading.Thread(target=loadgen, args=("traffic", "--url", self.system.url("frontend"),
                                                        "--duration", "3", "--think-max", "0.05"))
        others.start()
        code, out, err = self.verify("--shared")
        others.join()
        self.assertEqual(code, 0, out + err)

    def test_verify_names_a_scrape_that_is_missing(self):
        code, out, err = loadgen("verify", "--url", self.system.url("frontend"), "--deadline", "0.2", "--metrics",
                                 self.system.metrics_url("frontend"))
        self.assertEqual(code, 1, err)
        self.assertIn("CAUSE: a scrape is missing", out)
        self.assertIn("no metrics of dice-roller and die-service in metrics at ", out)

    def test_verify_names_logs_that_do_not_come(self):
        empty = self.folder / "empty"
        empty.mkdir()
        code, out, _ = self.verify("--deadline", "0.2", logs=empty)
        self.assertEqual(code, 1)
        self.assertIn("is not getting logs", out)

    def test_verify_names_exporters_that_are_off(self):
        code, out, _ = self.verify("--export", "required", "--deadline", "0.2")
        self.assertEqual(code, 1)
        self.assertIn("CAUSE: frontend, dice-roller and die-service do not export spans", out)

    def test_verify_names_a_collector_that_was_never_there(self):
        """Tests it before any export has failed."""
        system = run.System(BIN, self.folder / "exporting", free_ports=True)
        system.start({"all": {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
                              "OTEL_BSP_SCHEDULE_DELAY": "600000"}})
        self.addCleanup(system.stop)
        code, out, _ = loadgen("verify", "--url", system.url("frontend"), "--deadline", "0.2", "--metrics",
                               ",".join(system.metrics_urls.values()))
        self.assertEqual(code, 1)
        self.assertIn("CAUSE: the collector is down or does not respond", out)

    def test_verify_says_what_it_does_not_check(self):
        code, out, err = loadgen("verify", "--shared", "--url", self.system.url("frontend"))
        self.assertEqual(code, 0, out + err)
        self.assertIn("not checked: logs: require --logs or --loki", out)
        self.assertIn("not checked: metrics and correlation: require --metrics or --prometheus", out)

    def canary(self, *more, every=3600, url=None):
        """(process, its first log line)"""
        process = subprocess.Popen([BIN / "loadgen", "verify", "--url", url or self.system.url("frontend"), "--logs", self.folder / "logs",
                                    "--metrics", ",".join(self.system.metrics_urls.values()), "--every", str(every), "--metrics-port", "0",
                                    *more], env=CANARY_ENV, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)  # before communicate
        return process, json.loads(process.stdout.readline())

    def scrape(self, port, path="/metrics"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def ends(self, process):
        """SIGTERM ends it with 0, long before a check's deadline."""
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)

    def test_canary_serves_what_it_found(self):
        process, first = self.canary()
        self.assertEqual(first["message"], "Canary started")
        self.assertRegex(first["load"], r"^each check sends \d+ requests, which cause \d+ spans and \d+ log lines$")
        self.assertEqual(self.scrape(first["metrics_port"], "/healthz")[0], 200)
        line = json.loads(process.stdout.readline())
        self.assertEqual((line["message"], line["result"]), ("Telemetry check", "passed"))
        self.assertEqual(self.scrape(first["metrics_port"], "/readyz")[0], 200)
        text = self.scrape(first["metrics_port"])[1]
        self.assertIn('telemetry_pipeline_checks_total{result="passed"} 1\n', text)
        for signal_ in ("answers", "traces", "logs", "metrics", "correlation"):
            self.assertIn(f'telemetry_pipeline_complete{{signal="{signal_}"}} 1\n', text)
        self.assertIn('telemetry_pipeline_broken{cause="collector_down",signal="traces"} 0\n', text)
        self.assertNotIn("http_requests_total", text)
        self.ends(process)

    def test_canary_ends_in_the_middle_of_a_check(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            process, first = self.canary(url=f"http://127.0.0.1:{silent.getsockname()[1]}")
            connection, _ = silent.accept()  # the check waits for an answer
            self.assertEqual(self.scrape(first["metrics_port"], "/readyz")[0], 503)
            self.ends(process)
            connection.close()

    def test_canary_goes_on_when_the_frontend_comes_back(self):
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            port = reserved.getsockname()[1]
        process, first = self.canary(every=0.05, url=f"http://127.0.0.1:{port}")
        line = json.loads(process.stdout.readline())
        self.assertEqual((line["result"], line["broken"]), ("unreachable", "answers/unreachable"))
        self.assertIn('telemetry_pipeline_broken{cause="unreachable",signal="answers"} 1\n', self.scrape(first["metrics_port"])[1])
        self.ends(process)
        self.system.stop_one("frontend")
        try:
            process, _ = self.canary(every=0.05)
            self.assertEqual(json.loads(process.stdout.readline())["result"], "unreachable")
        finally:
            self.system.start_one("frontend")
        deadline = time.monotonic() + 60
        while json.loads(process.stdout.readline()).get("result") != "passed":
            self.assertLess(time.monotonic(), deadline)
        self.ends(process)

    def test_interrupt_ends_verify_and_compare(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            for command in ("verify", "compare"):
                process = subprocess.Popen([BIN / "loadgen", command, "--url", f"http://127.0.0.1:{silent.getsockname()[1]}"], env=ENV)
                connection, _ = silent.accept()  # kept open: closing it would end the program
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(10), -signal.SIGINT)
                connection.close()

    def test_interrupt_ends_traffic_with_its_summary(self):
        answered = self.answered("/roll")
        process = self.endless_traffic()
        self.wait_until_answered("/roll", answered + 1)
        self.assertTrue(self.interrupt(process)["passed"])

    def test_compare(self):
        code, out, err = loadgen("compare", "--url", self.system.url("frontend"), "--rolls", "5", "--iterations", "2",
                                 "--concurrency", "1,5", "--json")
        self.assertEqual(code, 0, err)
        sweep = json.loads(out)["concurrent"]
        self.assertEqual([one["threads"] for one in sweep], [1, 5])
        self.assertGreater(sweep[1]["measured_speedup"], sweep[0]["measured_speedup"])

    def test_compare_below_the_efficiency_that_is_wanted(self):
        code, _, err = loadgen("compare", "--url", self.system.url("frontend"), "--rolls", "2", "--iterations", "1",
                               "--min-efficiency", "1")
        self.assertEqual(code, 1)
        self.assertIn("--min-efficiency", err)

    def test_traffic(self):
        code, out, err = loadgen("traffic", "--url", self.system.url("frontend"), "--json", "--think-max", "0",
                                 env={"LOADGEN_USERS": "3", "LOADGEN_ROLLS": "5", "LOADGEN_SEED": "7"})
        self.assertEqual(code, 0, out + err)
        self.assertEqual(json.loads(out)["seed"], 7)

    def test_traffic_with_a_roll_seed_has_the_same_outcomes_again(self):
        def outcomes(roll_seed):
            code, out, err = loadgen("traffic", "--url", self.system.url("frontend"), "--json", "--users", "8", "--rolls", "8", "--think-max",
                                     "0", "--seed", "7", env={"LOADGEN_ROLL_SEED": roll_seed})
            self.assertEqual(code, 0, out + err)
            return {route: one["outcomes"] for route, one in json.loads(out)["routes"].items()}
        first = outcomes("1")
        self.assertTrue(any("roll_failed" in outcome for outcome in first["/roll"]), first)
        self.assertEqual(outcomes("1"), first)
        self.assertNotEqual(outcomes("2000"), first)

    def test_traffic_has_spans_of_its_own_which_the_frontend_joins(self):
        code, _, err = loadgen("traffic", "--url", self.system.url("frontend"), "--users", "1", "--rolls", "1",
                               env={"OTEL_TRACES_EXPORTER": "console"})
        self.assertEqual(code, 0, err)
        resource, = json.loads(err.splitlines()[-1])["resourceSpans"]
        self.assertIn({"key": "service.name", "value": {"stringValue": "loadgen"}}, resource["resource"]["attributes"])
        spans = {span["kind"]: span for span in resource["scopeSpans"][0]["spans"]}
        root, client = spans[1], spans[3]
        self.assertFalse(root.get("parentSpanId"))
        self.assertEqual(client["parentSpanId"], root["spanId"])
        with urllib.request.urlopen(f"{self.system.url('frontend')}/api/traces/{root['traceId']}") as answer:
            trace = json.load(answer)
        parents = [span.get("parentSpanId") for one in trace["resourceSpans"] for scope in one["scopeSpans"]
                   for span in scope["spans"]]
        self.assertEqual(parents.count(client["spanId"]), 1)

    def test_traffic_goes_on_when_a_service_restarts(self):
        answered = self.answered("/dice")
        process = self.endless_traffic("--list-only", "--think-max", "0.01", "--expect", "downstream_unavailable,not_ready")
        self.wait_until_answered("/dice", answered + 100)
        self.system.restart("frontend")
        self.wait_until_answered("/dice", 100)
        self.assertTrue(self.interrupt(process)["passed"])

    def test_traffic_waits_for_rolls_to_get_through(self):
        done = {}

        def traffic():
            done["result"] = loadgen("traffic", "--url", self.system.url("frontend"), "--users", "1", "--rolls", "1", "--wait", "30")

        self.system.stop_one("dice-roller")
        try:
            answered = self.answered("/roll")
            thread = threading.Thread(target=traffic)
            thread.start()
            self.wait_until_answered("/roll", answered + 2)
        finally:
            self.system.start_one("dice-roller")
        thread.join()
        code, out, err = done["result"]
        self.assertEqual(code, 0, out + err)

    def test_parts_send_the_load_of_one_and_print_one_summary_which_the_counters_confirm(self):
        before = self.rolls_answered()
        parts = self.parts(4, "--rate", "200", "--duration", "2", "--seed", "7")
        self.wait_until(lambda: 'loadgen_requests_total{error_code="",route="/roll"}' in parts.metrics(3))
        self.assertIn("loadgen_target_rate 50\n", parts.metrics(3))
        self.assertIn('loadgen_info{part="3",parts="4",seed="7"} 1\n', parts.metrics(3))
        (code, out, err), *others = parts.results()
        self.assertEqual([(code, out) for code, out, _ in others], [(0, "")] * 3)
        summary = json.loads(out)
        self.assertEqual(code, 0 if summary["rate_reached"] else 1, out + err)  # a busy machine may miss the rate
        self.assertEqual((summary["requests"], summary["finished_parts"], summary["seed"]), (400, 4, 7))
        self.assertEqual((summary["target_rate"], summary["missing"], summary["unexpected_failures"]), (200, [], 0))
        self.assertLess(summary["sent_rate"], 202)
        self.assertEqual(outcomes(summary), self.rolls_answered() - before)
        code, out, err = loadgen("traffic", "--url", self.system.url("frontend"), "--rate", "400", "--duration", "1", "--seed", "7", "--json")
        self.assertEqual({route: one["latency_seconds"]["count"] for route, one in json.loads(out)["routes"].items()},
                         {route: one["latency_seconds"]["count"] for route, one in summary["routes"].items()})

    def test_parts_in_closed_loop_take_the_seed_of_part_0(self):
        parts = self.parts(3, "--users", "7", "--rolls", "4", "--think-max", "0")
        (code, out, err), *_ = parts.results()
        self.assertEqual(code, 0, out + err)
        summary = json.loads(out)
        code, out, err = loadgen("traffic", "--url", self.system.url("frontend"), "--users", "7", "--rolls", "4", "--think-max", "0",
                                 "--seed", summary["seed"], "--json")
        self.assertEqual(json.loads(out)["requests"], summary["requests"])

    def test_a_part_that_crashes_is_named(self):
        parts = self.parts(3, "--users", "3", "--duration", "1", "--peers-deadline", "1")
        self.wait_until(lambda: "loadgen_requests_total{" in parts.metrics(2))
        parts.processes[2].kill()
        (code, out, err), (other, _, _), _ = parts.results()
        self.assertEqual((code, other), (1, 0), out + err)
        summary = json.loads(out)
        self.assertFalse(summary["passed"])
        self.assertEqual((summary["parts"], summary["finished_parts"]), (3, 2))
        missing, = summary["missing"]
        self.assertRegex(missing, rf"^part 2 \(http://127.0.0.1:{parts.ports[2]}\): no connection to it")

    def test_a_part_that_never_starts_is_named_and_nothing_is_sent(self):
        before = self.rolls_answered()
        parts = self.parts(3, "--duration", "600", "--peers-deadline", "1", absent=[1])
        for code, _, err in parts.results():
            self.assertEqual(code, 1, err)
        self.assertRegex(parts.results()[0][2], r"not all parts are ready: part 1 \(http://127.0.0.1:\d+\): no connection to it")
        self.assertEqual(self.rolls_answered(), before)

    def test_a_stop_signal_ends_all_parts_with_one_summary(self):
        parts = self.parts(3, "--duration", "600", "--think-max", "0.1")
        for index in range(3):
            self.wait_until(lambda: "loadgen_requests_total{" in parts.metrics(index))
        for process in parts.processes:
            process.send_signal(signal.SIGTERM)
        (code, out, err), *others = parts.results(timeout=15)
        self.assertEqual(code, 0, out + err)
        self.assertEqual([(code, out) for code, out, _ in others], [(0, "")] * 2)
        self.assertEqual(json.loads(out)["finished_parts"], 3)

    def test_the_metrics_port_is_taken(self):
        with socket.create_server(("", 0)) as taken:
            code, _, err = loadgen("traffic", "--url", self.system.url("frontend"), "--metrics-port", taken.getsockname()[1])
        self.assertEqual(code, 2)
        self.assertIn("--metrics-port: ", err)

    def parts(self, *arguments, absent=()):
        parts = Parts(self.system.url("frontend"), *arguments, absent=absent)
        self.addCleanup(parts.kill)
        return parts

    def rolls_answered(self):
        """{(route, status and error code): count} of the frontend, without the unknown die that loadgen asks for at the start."""
        with urllib.request.urlopen(self.system.metrics_url("frontend") + "/metrics") as answer:
            found = re.findall(r'^http_requests_total{error_code="(\w*)",[^}]*route="(/roll|/roll-async)",status="(\d+)"} (\d+)',
                               answer.read().decode(), re.MULTILINE)
        return collections.Counter({(route, f"{status} {code}".strip()): int(count) for code, route, status, count in found
                                    if code != "die_not_found"})

    def wait_until(self, condition):
        deadline = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def endless_traffic(self, *more):
        """Ends with the test at the latest: otherwise, the metrics that later tests compare would move."""
        process = subprocess.Popen([BIN / "loadgen", "traffic", "--url", self.system.url("frontend"), "--duration", "600", "--json", *more],
                                   env=ENV, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)  # before communicate
        return process

    def interrupt(self, process):
        """The summary."""
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, out)
        return json.loads(out)

    def answered(self, route):
        """Number of requests of this route that the frontend has answered since its start."""
        with urllib.request.urlopen(self.system.metrics_url("frontend") + "/metrics") as answer:
            found = re.search(rf'^http_request_duration_seconds_count{{[^}}]*route="{route}"}} (\d+)', answer.read().decode(),
                              re.MULTILINE)
        return int(found.group(1))

    def wait_until_answered(self, route, count):
        self.wait_until(lambda: self.answered(route) >= count)

    def test_wrong_use(self):
        for arguments, text in ((["traffic", "--rate", "fast"], "--rate: \"fast\" is not allowed; allowed: a number"),
                                (["verify", "--url", "nowhere"], "--url: \"nowhere\" is not allowed"),
                                (["verify", "--every", "30", "--json"], "--json: \"true\" is not allowed; allowed: only without --every"),
                                (["verify", "--every", "30", "--junit", "x"], "only without --every"),
                                (["verify", "--export", "maybe"], "auto, required, off"),
                                (["verify", "--logs", "x", "--loki", "http://x"], "only one of --logs and --loki"),
                                (["verify", "--metrics", "http://x", "--prometheus", "http://x"], "only one of --metrics and --prometheus"),
                                (["compare", "--concurrency", "1,0"], "a whole number from 1 to 1000"),
                                (["traffic", "--think-min", "2"], "--think-max"),
                                (["traffic", "--expect", "bad_luck"], "--expect: \"bad_luck\" is not allowed; allowed: malformed_request, "),
                                (["traffic", "--roll-seed", "9007199254740992"], "a whole number from -1 to 9007199254740991"),
                                (["traffic", "--parts", "0"], "--parts: \"0\" is not allowed; allowed: a whole number from 1 to 1000"),
                                (["traffic", "--parts", "4", "--part", "4"], "--part: \"4\" is not allowed; allowed: less than --parts, which is 4"),
                                (["traffic", "--part", "1"], "--part: \"1\" is not allowed; allowed: less than --parts, which is 1"),
                                (["traffic", "--parts", "11"], "--parts: \"11\" is not allowed; allowed: in closed loop, at most --users"),
                                (["traffic", "--metrics-port", "65536"], "a whole number from -1 to 65535"),
                                (["traffic", "--metrics-port", "0", "--peers", "http://x"], "--peers: \"1 URL\" is not allowed; allowed: only with --parts"),
                                (["traffic", "--parts", "2", "--peers", "http://x,http://y"], "--peers: \"2 URLs\" is not allowed; allowed: only with --metrics-port"),
                                (["traffic", "--parts", "3", "--metrics-port", "0", "--peers", "http://x,http://y"],
                                 "--peers: \"2 URLs\" is not allowed; allowed: one URL for each of the --parts, 3"),
                                (["traffic", "--parts", "2", "--metrics-port", "0", "--peers", "nowhere,http://y"], "--peers: \"nowhere\" is not allowed"),
                                (["dance"], "dance"), ([], "allowed: traffic, compare, verify")):
            code, _, err = loadgen(*arguments)
            self.assertEqual(code, 2, arguments)
            self.assertIn(text, err)
        for command, variable, value, flag in (("traffic", "LOADGEN_USERS", "0", "--users"), ("verify", "LOADGEN_EXPORT", "maybe", "--export"),
                                               ("traffic", "LOADGEN_EXPECT", "roll_failed,bad_luck", "--expect"),
                                               ("verify", "LOADGEN_METRICS", "http://x,nowhere", "--metrics"),
                                               ("traffic", "LOADGEN_PARTS", "none", "--parts")):
            code, _, err = loadgen(command, env={variable: value})
            self.assertEqual(code, 2, variable)
            self.assertIn(flag, err)

        code, _, err = loadgen("traffic", "--parts", "2", env={"JOB_COMPLETION_INDEX": "x"})
        self.assertEqual(code, 2)
        self.assertIn('JOB_COMPLETION_INDEX: "x" is not allowed; allowed: a whole number less than --parts', err)

    def test_a_flag_wins_over_its_variable(self):
        code, _, err = loadgen("traffic", "--url", "http://127.0.0.1:1", env={"LOADGEN_URL": "nowhere"})
        self.assertEqual(code, 3, err)

    def test_lists_and_switches_by_variable(self):
        code, out, err = loadgen("verify", "--deadline", "10", env={
            "LOADGEN_URL": self.system.url("frontend"), "LOADGEN_LOGS": str(self.folder / "logs"), "LOADGEN_SHARED": "true",
            "LOADGEN_METRICS": ",".join(self.system.metrics_urls.values()), "LOADGEN_JSON": "true"})
        self.assertEqual(code, 0, out + err)
        self.assertEqual(json.loads(out)["not_checked"], [])

    def test_unreachable(self):
        for command in ("traffic", "compare", "verify"):
            code, _, err = loadgen(command, "--url", "http://127.0.0.1:1")
            self.assertEqual(code, 3, command)
            self.assertIn("http://127.0.0.1:1 cannot be reached", err)

    def test_help_names_the_variables(self):
        code, out, _ = loadgen("traffic", "--help")
        self.assertEqual(code, 0)
        self.assertIn("LOADGEN_RATE", out)


if __name__ == "__main__":
    # A script's background jobs ignore SIGINT, and so would loadgen.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unittest.main(warnings="ignore")
