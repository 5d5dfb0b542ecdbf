"""What a run prints, keeps in build/bench.json, and writes into docs/benchmarks.md."""

import json
import os
import pathlib
import platform
import re
import resource
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE, PICTURE, JSON = ROOT / "docs/benchmarks.md", ROOT / "docs/benchmarks.svg", ROOT / "build/bench.json"
# Above these shares of the machine's processor time, figures are not comparable.
MAX_STOLEN, MAX_OTHERS = 0.02, 0.1


def judged(name, passed, text):
    return f"  {'passed' if passed else 'FAILED'}: {name}: {text}"


def verdict(*one):
    print(judged(*one), flush=True)
    return one[1]


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def table(head, rows):
    """Aligned columns; the first is text, the others are numbers."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip()
            for row in cells]


def machine():
    """The machine's description, in one line."""
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = int(re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)[1]) * 1024
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    debian = platform.freedesktop_os_release()["PRETTY_NAME"]
    return (f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory / 1e9:.0f} GB, "
            f"Linux {platform.release()}, {debian}, {compiler}")


class Watch:
    """How much of the machine's processor time others have taken, since this object was created. The programs that were
    measured meanwhile must have ended."""

    def __init__(self):
        self.start, self.load = self.read(), os.getloadavg()[0]

    @staticmethod
    def read():
        """Seconds: in all, busy (without interrupts, which belong to nobody), stolen by the host, ours."""
        user, nice, system, idle, waiting, irq, softirq, stolen = (
            int(field) / os.sysconf("SC_CLK_TCK") for field in pathlib.Path("/proc/stat").read_text().split()[1:9])
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return (user + nice + system + idle + waiting + irq + softirq + stolen, user + nice + system, stolen,
                sum(one.ru_utime + one.ru_stime for one in used))

    def disturbance(self):
        """What makes the figures not comparable; empty if nothing does."""
        total, busy, stolen, ours = (now - then for now, then in zip(self.read(), self.start))
        others = max(busy - ours, 0) / total
        if stolen / total <= MAX_STOLEN and others <= MAX_OTHERS:
            return ""
        return (f"other programs took {others:.0%} of the processor time, the host {stolen / total:.0%}; "
                f"the load average was {self.load:.1f} before")


def publish(lines, results, picture):
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(results, indent=2) + "\n")
    PICTURE.write_text(picture)
    text = "\n".join(["<!-- results -->", "```text", *lines, "```", "<!-- end: results -->"])
    PAGE.write_text(re.sub(r"<!-- results -->.*<!-- end: results -->", lambda _: text, PAGE.read_text(), flags=re.DOTALL))
