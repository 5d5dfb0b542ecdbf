#!/usr/bin/env python3
"""Draws the dashboards with the data of a real Prometheus: docs/dashboards/*.png, by `make dashboards`.

It does not use Grafana, only the dashboards' layout, titles, units and thresholds, with plain shapes for the
data. Panels whose data only a cluster has stay grey.
"""

import html
import json
import math
import pathlib
import tempfile
import time

from live import NAMESPACE, Live, eventually
from playwright.sync_api import sync_playwright
from queries import ROOT, UPSTREAM, dashboards, fill

RATE_INTERVAL, RANGE = "15s", "5m"
OUT = ROOT / "docs/dashboards"
SECONDS, STEP = 300, 5
BROKEN, BROKEN_SECONDS = "dice-pipeline", 75  # until the alert fires, too
COLUMN, ROW, GAP, LEFT = 50, 30, 6, 80  # grid sizes and the space for an axis, in pixels
COLOURS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300"]
NAMED = {"green": "#56a64b", "orange": "#ff780a", "red": "#e02f44", "transparent": "none"}
STYLE = """
body { margin: 0; background: #f4f5f5; font: 12px sans-serif; color: #24292e; position: relative }
div.panel { position: absolute; background: #fff; border: 1px solid #dcdee0; border-radius: 2px; overflow: hidden; box-sizing: border-box }
div.row { position: absolute; font-weight: bold; line-height: 30px } h3 { margin: 6px 8px; font-size: 13px; font-weight: 600 }
div.stats { display: flex; height: 75%; align-items: center; justify-content: space-around; flex-wrap: wrap }
div.stat { text-align: center; font-size: 26px; font-weight: 600 } div.stat small { display: block; font-size: 12px; color: #555 }
div.none { color: #888; padding: 0 8px; overflow-wrap: anywhere } table { border-collapse: collapse; margin: 0 8px; width: 96% }
td, th { font-size: 12px; border-bottom: 1px solid #eee; text-align: left; padding: 3px 6px } text { font-size: 11px; fill: #555 }
"""


def number(value, unit, decimals=None):
    if math.isinf(value):
        return "∞"
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f} %".replace(".0 %", " %")
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if 0 < abs(value) < 1 else f"{value:.3g} s" if abs(value) < 100 else f"{value / 60:.3g} min"
    text = f"{value:.{decimals}f}" if decimals is not None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return text + {"reqps": " req/s", "ops": " ops/s"}.get(unit, "")


def colour_of(value, field):
    return [NAMED[step["color"]] for step in field["thresholds"]["steps"] if step["value"] is None or value >= step["value"]][-1]


def legend(target, metric):
    text = target["legendFormat"]
    for name, value in metric.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def write(x, y, text, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def bars(values, unit, decimals, width, height):
    """[(name, value)] as horizontal bars."""
    most, step, out = max([value for _, value in values] + [1e-9]), height / max(len(values), 1), []
    for position, (name, value) in enumerate(values):
        y, long = position * step, (width - 190) * value / most
        out.append(write(80, y + step / 2 + 4, name, "end") + write(90 + long, y + step / 2 + 4, number(value, unit, decimals)) +
                   f'<rect x="85" y="{y + 2:.1f}" width="{long:.1f}" height="{step - 4:.1f}" fill="#56a64b"/>')
    return out


class Picture:
    def __init__(self, live):
        self.live = live
        self.end = time.time()

    def range(self, target):
        data = self.live.api("query_range", query=fill(target["expr"], NAMESPACE, RATE_INTERVAL, RANGE), start=self.end - SECONDS,
                             end=self.end, step=STEP)
        return [(one["metric"], [(float(at), float(value)) for at, value in one["values"]]) for one in data["result"]]

    def last(self, target):
        data = self.live.api("query", query=fill(target["expr"], NAMESPACE, RATE_INTERVAL, RANGE), time=self.end)
        found = [(one["metric"], float(one["value"][1])) for one in data["result"]]
        return [(metric, value) for metric, value in found if not math.isnan(value)]

    def x(self, at, width):
        return LEFT + (at - self.end + SECONDS) / SECONDS * (width - LEFT - 10)

    def buckets(self, series):
        """[(le, {time: count in this bucket alone})] of cumulative series."""
        ordered = sorted(((metric["le"], dict(values)) for metric, values in series), key=lambda one: float(one[0]))
        return [(le, {at: value - (ordered[position - 1][1].get(at, 0) if position else 0) for at, value in values.items()})
                for position, (le, values) in enumerate(ordered)]

    def timeseries(self, panel, field, width, height):
        series = [(legend(target, metric), values) for target in panel["targets"] for metric, values in self.range(target)]
        series = [(name, [one for one in values if math.isfinite(one[1])]) for name, values in sorted(series)]
        stacked, base, drawn = field["custom"]["stacking"]["mode"] == "normal", {}, []
        for name, values in series:
            if stacked:
                values = [(at, value + base.get(at, 0)) for at, value in values]
                base.update(values)
            drawn.append((name, values))
        levels = [value for _, values in drawn for _, value in values]
        low, high = min([*levels, field.get("min", 0)]), max([*levels, 0]) or 1
        if not drawn:
            return '<div class="none">none</div>'
        bottom, out = height - 34, []

        def y(value):
            return bottom - (value - low) / (high * 1.05 - low) * (bottom - 6)

        for value in (low, (low + high) / 2, high):
            out.append(f'<line x1="{LEFT}" x2="{width - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#eee"/>' +
                       write(LEFT - 5, y(value) + 4, number(value, field["unit"], field.get("decimals")), "end"))
        for step in field["thresholds"]["steps"][1:]:
            if field["custom"]["thresholdsStyle"]["mode"] != "off" and low < step["value"] < high:
                out.append(f'<line x1="{LEFT}" x2="{width - 10}" y1="{y(step["value"]):.1f}" y2="{y(step["value"]):.1f}" '
                           f'stroke="{NAMED[step["color"]]}" stroke-dasharray="4"/>')
        left = 10
        for position, (name, values) in enumerate(drawn):
            points = " ".join(f"{self.x(at, width):.1f},{y(value):.1f}" for at, value in values)
            colour = COLOURS[position % len(COLOURS)]
            out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            if left + 7 * len(name) < width:
                out.append(f'<rect x="{left}" y="{height - 14}" width="10" height="3" fill="{colour}"/>' + write(left + 14, height - 8, name))
            left += 28 + 6.2 * len(name)
        return out

    def stat(self, panel, field, *_):
        words = {key: one["text"] for mapping in field.get("mappings", []) for key, one in mapping["options"].items()}
        values = [(legend(target, metric), value) for target in panel["targets"] for metric, value in self.last(target)]
        return "".join(f'<div class="stat" style="color: {colour_of(value, field)}">'
                       f'{html.escape(words.get(f"{value:g}") or number(value, field["unit"], field.get("decimals")))}'
                       f"<small>{html.escape(name) if len(values) > 1 else ''}</small></div>" for name, value in sorted(values))

    def bargauge(self, panel, field, width, height):
        target = panel["targets"][0]
        values = [(legend(target, metric), value) for metric, value in self.last(target)]
        if target["format"] == "heatmap":
            found = self.buckets([(metric, [(0, value)]) for metric, value in self.last(target)])
            values = [(le, counts[0]) for le, counts in found]
        else:
            values.sort()
        return bars(values, field["unit"], field.get("decimals"), width, height - 10)

    def heatmap(self, panel, field, width, height):
        target, out = panel["targets"][0], []
        rows = self.buckets(self.range(target))
        most = max((value for _, counts in rows for value in counts.values()), default=1) or 1
        step = (height - 12) / len(rows)
        for position, (le, counts) in enumerate(rows):
            y = height - 8 - (position + 1) * step
            out.append(write(LEFT - 5, y + 6, number(float(le), field["unit"]), "end"))
            for at, value in counts.items():
                if value > 0:
                    out.append(f'<rect x="{self.x(at, width):.1f}" y="{y:.1f}" width="{(width - LEFT - 10) / SECONDS * STEP:.1f}" '
                               f'height="{step - 1:.1f}" fill="#ff780a" opacity="{0.15 + 0.85 * value / most:.2f}"/>')
        bounds = [float(le) for le, _ in rows]
        found = self.live.api("query_exemplars", query=fill(target["expr"], NAMESPACE, RATE_INTERVAL, RANGE), start=self.end - SECONDS,
                              end=self.end)
        for exemplar in [one for series in found for one in series["exemplars"]][::10]:  # only every tenth
            position = next(number for number, bound in enumerate(bounds) if float(exemplar["value"]) <= bound)
            out.append(f'<circle cx="{self.x(exemplar["timestamp"], width):.1f}" cy="{height - 8 - (position + 0.5) * step:.1f}" r="3" '
                       'fill="#1f78c1"/>')
        return out

    def state_timeline(self, panel, field, width, height):
        words = {key: one["text"] for key, one in field["mappings"][0]["options"].items()}
        rows = sorted((legend(panel["targets"][0], metric), values) for metric, values in self.range(panel["targets"][0]))
        if not rows:
            return '<div class="none">none</div>'
        out, step = [], (height - 20) / len(rows)
        left = 20 + 6.5 * max(len(name) for name, _ in rows)
        for position, (name, values) in enumerate(rows):
            y = 10 + position * step
            out.append(write(left - 5, y + step / 2 + 4, name, "end"))
            wide = (width - left - 10) / SECONDS
            out += [f'<rect x="{left + (at - self.end + SECONDS) * wide:.1f}" y="{y + 2:.1f}" width="{STEP * wide + 0.5:.1f}" '
                    f'height="{step - 4:.1f}" fill="{colour_of(value, field)}"/>' for at, value in values]
            out.append(f'<text x="{(left + width) / 2}" y="{y + step / 2 + 4}" style="fill: #fff">{words[f"{values[-1][1]:g}"]}</text>')
        return out

    def table(self, panel, field, *_):
        """The columns that are not hidden, under their new names, with the words of their mappings."""
        organize = panel["transformations"][0]["options"]
        words = {one["matcher"]["options"]: {key: word["text"] for property in one["properties"] if property["id"] == "mappings"
                                             for mapping in property["value"] for key, word in mapping["options"].items()}
                 for one in panel["fieldConfig"]["overrides"]}
        rows = []
        for metric, value in self.last(panel["targets"][0]):
            shown = {**metric, "Value": number(value, field["unit"], field.get("decimals"))}
            shown = dict(sorted(shown.items(), key=lambda one: organize["indexByName"].get(one[0], len(shown))))
            shown = {organize["renameByName"].get(name, name): text for name, text in shown.items() if name not in organize["excludeByName"]}
            rows.append({name: words.get(name, {}).get(text, text) for name, text in shown.items()})
        if not rows:
            return '<div class="none">none</div>'
        rows.sort(key=lambda one: json.dumps(one, sort_keys=True))
        cells = lambda tag, values: "<tr>" + "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values) + "</tr>"
        return "<table>" + cells("th", rows[0]) + "".join(cells("td", [row[name] for name in rows[0]]) for row in rows) + "</table>"

    def panel(self, panel):
        at, target = panel["gridPos"], panel.get("targets", [{}])[0]
        width, height = at["w"] * COLUMN - GAP, at["h"] * ROW - GAP
        box = f'style="left: {at["x"] * COLUMN}px; top: {at["y"] * ROW}px; width: {width}px; height: {height}px"'
        if panel["type"] == "row":
            return f'<div class="row" {box}>{html.escape(panel["title"])}</div>'
        if panel["datasource"]["type"] != "prometheus" or UPSTREAM.search(target["expr"]):
            text = target.get("expr") or target.get("query") or target.get("serviceMapQuery", "")
            body = f'<div class="none">Only on a cluster. {html.escape(text[:120])}{"…" if len(text) > 120 else ""}</div>'
        else:
            drawn = getattr(self, panel["type"].replace("-", "_"))(panel, panel["fieldConfig"]["defaults"], width, height - 30)
            body = f'<svg width="{width}" height="{height - 30}">{"".join(drawn)}</svg>' if isinstance(drawn, list) else drawn
            body = f'<div class="stats">{body}</div>' if panel["type"] == "stat" else body
        return f'<div class="panel" {box}><h3>{html.escape(panel["title"])}</h3>{body}</div>'

    def page(self, board):
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * ROW
        return (f'<meta charset="utf-8"><style>{STYLE}</style><body style="width: {24 * COLUMN}px; height: {height}px">' +
                "".join(map(self.panel, board["panels"])))


def main():
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Live(pathlib.Path(folder), delay=1) as live, sync_playwright() as playwright:
        began = time.monotonic()
        while (left := SECONDS + 15 - (time.monotonic() - began)) > 0:  # a graph's worth of data
            time.sleep(left)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])

        def draw(boards):
            picture = Picture(live)
            for board in boards:
                page = browser.new_page(viewport={"width": 24 * COLUMN, "height": 100})
                page.set_content(picture.page(board))
                page.screenshot(path=OUT / f"{board['uid'].removeprefix('dice-')}.png", full_page=True)

        draw([board for board in dashboards() if board["uid"] != BROKEN])
        # This one is about what is broken.
        live.collector.refuses = True
        eventually("the canary sees it", 60, lambda: live.samples(f'telemetry_pipeline_broken{{namespace="{NAMESPACE}"}} == 1'))
        time.sleep(BROKEN_SECONDS)
        draw([board for board in dashboards() if board["uid"] == BROKEN])
        browser.close()


if __name__ == "__main__":
    main()
