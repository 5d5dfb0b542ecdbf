"""axe-core finds nothing, in any state."""

import pytest

from accessibility import LOOKS
from states import STATES, batch


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_violation(open_page, axe, state):
    page = open_page()
    state(page)
    axe(page, *LOOKS)


def test_violation_is_found(page, axe):
    page.evaluate("document.querySelector('header img').removeAttribute('alt')")
    with pytest.raises(pytest.fail.Exception, match="image-alt .*\n.*img.*: Fix any"):
        axe(page)


def test_pale_text_in_the_waterfall_is_found(page, axe):
    batch(page)
    page.evaluate("document.querySelector('.row .name').style.color = '#aaa'")
    with pytest.raises(pytest.fail.Exception, match="color-contrast .*\n.*name.*: Fix any"):
        axe(page)
