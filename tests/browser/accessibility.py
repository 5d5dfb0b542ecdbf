"""Runs axe-core in a page: all its rules, those of best practices included, but for the experimental ones."""

import importlib.resources

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
# AAA is beyond the aim, contrast of 7:1 for instance.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = [(1366, "light"), (1366, "dark"), (390, "light")]
# axe-core cannot judge the contrast of text under a layer, even one that only draws lines and lets every click through.
RUN = """async tags => {
    const layers = [...document.body.querySelectorAll(':not(svg *)')].filter(one =>
        getComputedStyle(one).pointerEvents === 'none' && !one.textContent.trim() && one.style.display !== 'none');
    const before = layers.map(one => one.style.display);
    for (const one of layers) one.style.display = 'none';
    const { violations, incomplete } = await axe.run({ runOnly: tags, resultTypes: ['violations', 'incomplete'] });
    layers.forEach((one, i) => { one.style.display = before[i]; });
    const covered = ({ any }) => any[0]?.data?.messageKey === 'bgOverlap';
    return [...violations, ...incomplete.map(rule => ({ ...rule, nodes: rule.nodes.filter(covered) })).filter(rule => rule.nodes.length)];
}"""


def violations(page, tags=TAGS):
    """One text per violation: the rule, and what to change at which elements.

    The page's content security policy, which stays in force, does not concern scripts of the debugger."""
    page.evaluate(AXE)
    return ["\n  ".join([f"{rule['id']} ({rule['impact']}): {rule['help']}", *map(describe, rule["nodes"])])
            for rule in page.evaluate(RUN, tags)]


def describe(node):
    return f"{' '.join(map(str, node['target']))}: {' '.join(node['failureSummary'].split())}"
