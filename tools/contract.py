"""The contract of services/contract, for what is not C++: names, strategies, parameters, errors, metrics and log messages, as
the program contract-json prints them."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def default_bin():
    return pathlib.Path(os.environ.get("DICE_BIN", ROOT / "build/release/bin"))


def read(folder=None):
    """{"services": [{"name": …, "port": …, …}, …], "strategies": […], …}; `folder` is that of the programs."""
    program = pathlib.Path(folder or default_bin()).resolve() / "contract-json"
    return json.loads(subprocess.run([program], capture_output=True, check=True).stdout)


def services(folder=None):
    """Their names; each calls the next."""
    return [service["name"] for service in read(folder)["services"]]
