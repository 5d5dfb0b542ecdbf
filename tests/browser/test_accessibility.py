"""axe-core finds nothing, in any state."""

import pytest

from states import STATES

LOOKS = [(1366, "light"), (1366, "dark"), (390, "light")]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_violation(open_page, axe, state):
    page = open_page()
    state(page)
    axe(page, *LOOKS)


def test_violation_is_found(page, axe):
    page.evaluate("document.querySelector('header img').removeAttribute('alt')")
    with pytest.raises(pytest.fail.Exception, match="image-alt .*\n.*img.*: Fix any"):
        axe(page)
