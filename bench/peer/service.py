"""The three services in Python: FastAPI, OpenTelemetry's SDK with batch export over OTLP/HTTP, a JSON log line per request,
Prometheus metrics. The environment variable ROLE chooses which one it is; `make bench` runs it with uvicorn, one worker."""

import asyncio
import json
import os
import random
import sys
import time

import httpx
import prometheus_client
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

ROLE = os.environ["ROLE"]
DICE = {"fair": {"faces": [1, 2, 3, 4, 5, 6], "error_rate": 0}, "risky": {"faces": [1, 2, 3, 4, 5, 6], "error_rate": 0.3}}

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # reads OTEL_BSP_…
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("dice")
HTTPXClientInstrumentor().instrument()

requests = prometheus_client.Counter("http_requests", "Requests", ["route", "status"])
seconds = prometheus_client.Histogram("http_request_duration_seconds", "Durations", ["route"])
rolls = prometheus_client.Counter("dice_rolls", "Rolls", ["result"])
app = FastAPI()
client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None, max_keepalive_connections=256))


def trace_id():
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


def log(message, **fields):
    print(json.dumps({"timestamp": time.time(), "level": "info", "message": message, "trace_id": trace_id(), **fields}))


@app.middleware("http")
async def measure(request: Request, call_next):
    start = time.perf_counter()
    response = await call_next(request)
    took, route = time.perf_counter() - start, getattr(request.scope.get("route"), "path", "_unmatched")
    if route != "/readyz":
        requests.labels(route, response.status_code).inc()
        seconds.labels(route).observe(took)
        log("Answered", route=route, status=response.status_code, duration=took)
    return response


def failure(status, code):
    return JSONResponse({"error": code}, status)


async def specification(die):
    """None if there is no such die."""
    response = await client.get(f"{os.environ['DIE_SERVICE_URL']}/dice/{die}")
    return response.json()["specification"] if response.status_code == 200 else None


def roll(die):
    """None if it fails."""
    failed = random.random() < die["error_rate"]
    rolls.labels("failure" if failed else "success").inc()
    return None if failed else random.choice(die["faces"])


async def one_dice_list():
    return {"identifiers": list(DICE)}


async def one_die(identifier: str):
    return {"identifier": identifier, "specification": DICE[identifier]} if identifier in DICE else failure(404, "die_not_found")


async def roll_one(die: str):
    found = await specification(die)
    value = roll(found) if found else None
    if value is None:
        return failure(500 if found else 502, "roll_failed" if found else "die_unavailable")
    log("Rolled", die_type=die, roll_value=value)
    return {"roll": value}


async def roll_many(die: str, times: int):
    found = await specification(die) if 1 <= times <= 20 else None
    if not found:
        return failure(502, "die_unavailable")

    async def one(index):
        with tracer.start_as_current_span(f"async_roll_{index}"):
            value = roll(found)
            log("Rolled in a batch", roll_index=index, roll_value=value)
            return value

    values = await asyncio.gather(*map(one, range(times)))
    return failure(500, "batch_failed") if None in values else {"total": sum(values), "rolls": values, "count": times}


async def pass_on(request: Request):
    """Asks dice-roller, and adds the trace's id."""
    response = await client.get(f"{os.environ['DICE_ROLLER_URL']}{request.url.path}?{request.url.query}")
    return JSONResponse({**response.json(), "trace_id": trace_id()}, response.status_code)


ROUTES = {"die": {"/dice": one_dice_list, "/dice/{identifier}": one_die},
          "roller": {"/roll": roll_one, "/roll-async": roll_many},
          "front": {"/roll": pass_on, "/roll-async": pass_on}}
for path, handler in ROUTES[ROLE].items():
    app.get(path)(handler)
app.get("/readyz")(lambda: "ready")
app.mount("/metrics", prometheus_client.make_asgi_app())
FastAPIInstrumentor.instrument_app(app, excluded_urls="readyz,metrics")

if __name__ == "__main__":
    import uvicorn

    sys.stdout.reconfigure(line_buffering=True)
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
