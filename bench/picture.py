"""docs/benchmarks.svg: throughput as bars, fan-out and capacity as curves."""

import html

import throughput

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 420, 372, 54, 40, 262  # a panel, and the rectangle of its data
COLOURS = ["#1f78c1", "#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#ba43a9", "#e24d42"]


def write(x, y, text, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


class Panel:
    """One chart with a linear y axis from 0."""

    def __init__(self, number, title, most):
        self.left, self.most = number * WIDTH + LEFT, most or 1
        self.right = (number + 1) * WIDTH - 14
        self.out = [write((self.left + self.right) / 2, 22, title)]
        for value in (0, self.most / 2, self.most):
            y = self.y(value)
            self.out.append(f'<line x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            self.out.append(write(self.left - 6, y + 4, f"{value:.3g}", "end"))

    def y(self, value):
        return BOTTOM - value / self.most * (BOTTOM - TOP)

    def key(self, number, name):
        """The name of a colour, two to a line."""
        x, y = self.left + number % 2 * 170, BOTTOM + 56 + number // 2 * 16
        self.out.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[number]}"/>')
        self.out.append(write(x + 15, y, name, "start"))

    def bars(self, groups, series):
        """{name: [a value per group]}"""
        wide = (self.right - self.left) / len(groups)
        bar = wide * 0.85 / len(series)
        for position, group in enumerate(groups):
            self.out.append(write(self.left + (position + 0.5) * wide, BOTTOM + 18, group))
            for number, values in enumerate(series.values()):
                x = self.left + position * wide + wide * 0.075 + number * bar
                self.out.append(f'<rect x="{x:.1f}" y="{self.y(values[position]):.1f}" width="{bar - 1:.1f}" '
                                f'height="{BOTTOM - self.y(values[position]):.1f}" fill="{COLOURS[number]}"/>')
        for number, name in enumerate(series):
            self.key(number, name)

    def curves(self, label, series):
        """{name: [(x, y)]}, all with the same x."""
        last = next(iter(series.values()))[-1][0]

        def x(value):
            return self.left + value / last * (self.right - self.left)

        for value, _ in next(iter(series.values())):
            self.out.append(write(x(value), BOTTOM + 18, f"{value:g}"))
        self.out.append(write((self.left + self.right) / 2, BOTTOM + 34, label))
        for number, (name, points) in enumerate(series.items()):
            line = " ".join(f"{x(at):.1f},{self.y(value):.1f}" for at, value in points)
            self.out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[number]}" stroke-width="2"/>')
            self.key(number, name)


def draw(results):
    panels = []
    if "throughput" in results:
        found = {name: one["times_bare"] for name, one in results["throughput"].items() if "times_bare" in one}
        base = found[throughput.ON]
        series = {name: [one[case] / base[case] for case in base] for name, one in found.items()}
        panels.append(Panel(len(panels), "requests per second, every span exported = 1", max(map(max, series.values()))))
        panels[-1].bars(list(base), series)
    if "fan-out" in results:
        series = {}
        for one in results["fan-out"].values():
            if one.get("rolls", 21) <= 20:
                series.setdefault(f"{one['at_once']} at once", []).append((one["rolls"], one["overhead_p99_milliseconds"]))
        most = max(y for points in series.values() for _, y in points)
        panels.append(Panel(len(panels), "batch: ms beyond its longest roll, p99", most))
        panels[-1].curves("rolls per batch", series)
    if "capacity" in results:
        curve = results["capacity"]["curve"]
        accepted = [(factor, one["accepted_per_second"]) for factor, one in curve.items()]
        panels.append(Panel(len(panels), "accepted rolls per second", max(y for _, y in accepted) * 1.2))
        panels[-1].curves("offered load, × capacity", {"accepted": accepted})
    body = "\n".join(line for panel in panels for line in panel.out)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n')
