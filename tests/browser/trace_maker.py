"""Creates OTLP JSON from times in milliseconds."""

MS = 1_000_000
# Above 2^53, so that a JavaScript number would lose the microseconds.
ORIGIN = 1_790_000_000_000_000_123


def span(id, parent, name, start, end, kind=1, **attributes):
    return {"spanId": id, "parentSpanId": parent, "name": name, "kind": kind, "startTimeUnixNano": str(ORIGIN + round(start * MS)),
            "endTimeUnixNano": str(ORIGIN + round(end * MS)), "status": {},
            "attributes": [{"key": key.replace("_", ".", 1), "value": {"boolValue": value} if isinstance(value, bool) else
                            {"intValue": str(value)}} for key, value in attributes.items()]}


def otlp(**services):
    return {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name.replace("_", "-")}}]},
                               "scopeSpans": [{"spans": spans}]} for name, spans in services.items()]}
