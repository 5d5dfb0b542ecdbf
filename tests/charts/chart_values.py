"""The chart's values and their schema, as data."""

import json

import yaml

from conftest import CHART

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FREE = ("commonLabels", "resourceAttributes", "env", "resources", "podSecurityContext", "securityContext", "annotations", "podLabels",
        "podAnnotations", "nodeSelector", "affinity", "labels", "specifications", "behavior")


def leaves(values, path=()):
    """(path, value) of everything except maps whose keys the chart defines."""
    for key, value in values.items():
        if isinstance(value, dict) and key not in FREE and key not in ("startup", "liveness", "readiness"):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value
