"""Runs axe-core in a page: all its rules, those of best practices included, but for the experimental ones."""

import importlib.resources

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
# AAA is beyond the aim, contrast of 7:1 for instance.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page, tags=TAGS):
    """One text per violation: the rule, and what to change at which elements.

    The page's content security policy, which stays in force, does not concern scripts of the debugger."""
    page.evaluate(AXE)
    found = page.evaluate("tags => axe.run({runOnly: tags, resultTypes: ['violations']})", tags)
    return ["\n  ".join([f"{rule['id']} ({rule['impact']}): {rule['help']}", *map(describe, rule["nodes"])])
            for rule in found["violations"]]


def describe(node):
    return f"{' '.join(map(str, node['target']))}: {' '.join(node['failureSummary'].split())}"
