"""What the first visit costs, and the next one. `make screenshots` prints the seconds, which depend on the machine."""

import pytest

from measure import Load, slow_network

MAX_BYTES, MAX_REQUESTS = 20_000, 8
# The page, and all that it names.
MAX_ROUND_TRIPS = 2
MAX_BYTES_AGAIN = 4_000


@pytest.fixture
def load(open_page):
    def load():
        loads = []

        def prepare(page):
            slow_network(page)
            loads.append(Load(page))

        return open_page(prepare=prepare), loads[0].wait()

    return load


def test_first_load(load):
    first = load()[1]
    assert first.bytes <= MAX_BYTES, first.requests
    assert len(first.requests) <= MAX_REQUESTS, first.requests


@pytest.mark.parametrize("path", ["/dice", "/api/config"])
def test_what_is_preloaded_is_used(load, path):
    requests = load()[1].requests
    assert [one.url.endswith(path) for one in requests].count(True) == 1, requests


def test_few_round_trips(load):
    # What else the machine does can add round trips, so that the best of a few counts.
    trips = []
    while not trips or (min(trips) > MAX_ROUND_TRIPS and len(trips) < 3):
        trips.append(load()[1].round_trips)
    assert min(trips) <= MAX_ROUND_TRIPS, trips


def test_reload_brings_nothing_again(load):
    page, first = load()
    again = Load(page)
    page.reload()
    again.wait()
    files = {one.url for one in first.requests if one.bytes > 1000}
    assert {one.status for one in again.requests if one.url in files} == {304}, again.requests
    assert again.bytes <= MAX_BYTES_AGAIN, again.requests
