"""Calls over kept connections by third-party clients and proxies: each makes CALLS calls without one failure.

Clients that are not installed are reported and skipped.
"""

import contextlib
import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from program import free_port

CALLS = 1000

PYTHON = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for _ in range(int(sys.argv[3])):
    connection.request("GET", sys.argv[2])
    reply = connection.getresponse()
    assert reply.status == 200 and reply.read(), reply.status
"""

GO = """
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

func main() {
	calls, _ := strconv.Atoi(os.Args[3])
	for i := 0; i < calls; i++ {
		reply, err := http.Get("http://127.0.0.1:" + os.Args[1] + os.Args[2])
		if err != nil || reply.StatusCode != 200 {
			fmt.Println(err, reply)
			os.Exit(1)
		}
		io.Copy(io.Discard, reply.Body)
		reply.Body.Close()
	}
}
"""

NODE = """
const [port, path, calls] = process.argv.slice(2);
for (let i = 0; i < Number(calls); ++i) {
  const reply = await fetch(`http://127.0.0.1:${port}${path}`);
  if (reply.status !== 200 || !(await reply.text())) throw new Error(`${reply.status}`);
}
"""

JAVA = """
import java.net.HttpURLConnection;
import java.net.URL;

class Client {
    public static void main(String[] given) throws Exception {
        for (int i = 0; i < Integer.parseInt(given[2]); ++i) {
            var connection = (HttpURLConnection) new URL("http://127.0.0.1:" + given[0] + given[1]).openConnection();
            if (connection.getResponseCode() != 200) throw new Exception("" + connection.getResponseCode());
            connection.getInputStream().readAllBytes();
        }
    }
}
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  upstream dice {{ server 127.0.0.1:{port}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{listen};
    keepalive_requests 100000;
    location / {{ proxy_pass http://dice; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:{listen}
  default_backend dice
backend dice
  http-reuse always
  server dice 127.0.0.1:{port}
"""


def run(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **more)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-300:] or f"exit code {done.returncode}"


def curl(port, path, folder):
    """One process, one connection."""
    config = folder / "urls"
    config.write_text(f'url = "http://127.0.0.1:{port}{path}"\noutput = "/dev/null"\n' * CALLS)
    done = subprocess.run(["curl", "-sS", "-w", "%{http_code} %{num_connects}\n", "-K", config], capture_output=True, text=True,
                          timeout=600)
    answers = [line.split() for line in done.stdout.splitlines()]
    good = sum(status == "200" for status, _ in answers)
    connections = sum(int(connects) for _, connects in answers)
    return "" if good == len(answers) == CALLS and connections <= 2 else f"{good} of {len(answers)}, {connections} connections {done.stderr[-200:]}"


def wrk(port, path, _folder):
    text = subprocess.run(["wrk", "-t1", "-c8", "-d3", f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True,
                          timeout=60).stdout
    return text if "Non-2xx" in text or "Socket errors" in text or " 0 requests in" in text else ""


def source(name, text, command):
    def call(port, path, folder):
        (folder / name).write_text(text)
        return run([*command, folder / name, port, path, CALLS], env={**os.environ, "HOME": str(folder), "GOFLAGS": "-mod=mod"})
    return call


@contextlib.contextmanager
def proxy(name, config, command, port, folder):
    listen = free_port()
    file = folder / f"{name}.conf"
    file.write_text(config.format(folder=folder, port=port, listen=listen))
    process = subprocess.Popen([*command, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", listen)):
                break
            time.sleep(0.05)
        yield listen
    finally:
        process.terminate()
        process.wait()


def through(name, config, command):
    """Python's client calls the proxy, which keeps its own connections to the service."""
    def call(port, path, folder):
        with proxy(name, config, command, port, folder) as listen:
            connection = http.client.HTTPConnection("127.0.0.1", listen, timeout=30)
            for number in range(CALLS):
                connection.request("GET", path)
                reply = connection.getresponse()
                body = reply.read()
                if reply.status != 200:
                    return f"call {number}: {reply.status} {body[:100]!r}"
        return ""
    return call


CLIENTS = {
    "curl": ("curl", curl),
    "wrk": ("wrk", wrk),
    "Python http.client": ("python3", source("client.py", PYTHON, ["/usr/bin/python3"])),
    "Go net/http": ("go", source("client.go", GO, ["go", "run"])),
    "Node fetch": ("node", source("client.mjs", NODE, ["node"])),
    "Java HttpURLConnection": ("java", source("Client.java", JAVA, ["java"])),
    "nginx as a proxy": ("nginx", through("nginx", NGINX, ["nginx", "-c"])),
    "HAProxy as a proxy": ("haproxy", through("haproxy", HAPROXY, ["haproxy", "-f"])),
}


def try_all(targets, verdict):
    """`targets` are {name: (port, path)}."""
    held = True
    for client, (program, call) in CLIENTS.items():
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            print(f"  left out: {client}, {program} is not installed")
            continue
        for name, (port, path) in targets.items():
            with tempfile.TemporaryDirectory() as folder:
                failure = call(port, path, pathlib.Path(folder))
            held &= verdict(f"{client} to {name}{path}", not failure, failure or f"{CALLS} calls, none failed")
    return held
