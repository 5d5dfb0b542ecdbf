"""How the services and Chromium are started."""

import os

ENVIRONMENT = {"ROLL_DELAY_MIN_SECONDS": 0.05, "ROLL_DELAY_MAX_SECONDS": 0.3, "ROLL_SEED": 7, "OTEL_TRACES_EXPORTER": "none"}
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
         "--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
