"""Runs axe-core in a page: all its rules, those of best practices included, but for the experimental ones."""

import importlib.resources

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
# AAA is beyond the aim, contrast of 7:1 for instance.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page, tags=TAGS):
    """One text per violation: the rule, and the elements with what to change. The page's policy forbids no script of the debugger."""
    page.evaluate(AXE)
    found = page.evaluate("tags => axe.run({runOnly: tags, resultTypes: ['violations']})", tags)
    return ["\n".join([f"{rule['id']} ({rule['impact']}): {rule['help']}",
                       *(f"  {' '.join(map(str, node['target']))}: {' '.join(node['failureSummary'].split())}" for node in rule["nodes"])])
            for rule in found["violations"]]
