"""axe-core finds nothing, in any state."""

import pytest

from states import STATES


@pytest.mark.parametrize("width, scheme", [(1366, "light"), (1366, "dark"), (390, "light")])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_violation(open_page, axe, state, width, scheme):
    page = open_page(width, scheme)
    state(page)
    axe(page)


def test_violation_is_found(page, axe):
    page.evaluate("document.querySelector('header img').removeAttribute('alt')")
    with pytest.raises(pytest.fail.Exception, match="image-alt .*\n.*img.*: Fix any"):
        axe(page)
