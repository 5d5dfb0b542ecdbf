"""trace.js with handmade traces: its figures must be correct, because users rely on them."""

import pytest

from trace_maker import otlp, span

BATCH = otlp(
    frontend=[span("a", "", "GET /roll-async", 0, 100, 2)],
    dice_roller=[span("d", "b", "async_roll_1", 50, 90, async_roll_index=1, die_result=3),
                 span("b", "a", "GET /roll-async", 5, 95, 2),
                 span("c", "b", "async_roll_0", 10, 50, async_roll_index=0, die_result=6),
                 span("e", "b", "async_roll_2", 10.5, 60, async_roll_index=2, die_error=True)])


@pytest.fixture
def model(page, modules):
    def model(trace):
        return page.evaluate("""async trace => {
            const { readTrace, criticalPath, overlap, figures, ownTime } = await import(new URL('src/trace.js', location.href));
            const model = readTrace(trace);
            return {rows: model.rows.map(({name, depth, start, state}) => [name, depth, start, state]), overlap: overlap(model),
                    path: criticalPath(model).map(({span, from, to}) => [span.name, span.service, from, to]),
                    services: model.services, figures: (({sum, together, peak, request}) => ({sum, together, peak, request}))(figures(model)),
                    own: Object.fromEntries(model.rows.map(span => [span.name, ownTime(span)]))}}""", trace)
    return model


def test_rows_are_a_tree_in_start_order_and_rolls_in_index_order(model):
    assert model(BATCH)["rows"] == [["GET /roll-async", 0, 0, "ok"], ["GET /roll-async", 1, 5, "ok"], ["async_roll_0", 2, 10, "ok"],
                                    ["async_roll_1", 2, 50, "ok"], ["async_roll_2", 2, 10.5, "failed"]]


def test_services_in_order_of_appearance(model):
    trace = otlp(zebra=[span("b", "a", "call", 5, 95, 2)], apple=[span("a", "", "request", 0, 100, 2)])
    assert model(trace)["services"] == ["apple", "zebra"]


def test_figures(model):
    told = model(BATCH)
    assert told["figures"] == {"sum": 40 + 40 + 49.5, "together": 80, "peak": 2, "request": 100}
    assert told["overlap"] == [[10, 1], [10.5, 2], [50, 1], [50, 2], [60, 1], [90, 0]]


def test_critical_path_walks_back_from_the_last_to_finish(model):
    assert model(BATCH)["path"] == [
        ["GET /roll-async", "frontend", 0, 5], ["GET /roll-async", "dice-roller", 5, 10], ["async_roll_0", "dice-roller", 10, 50],
        ["async_roll_1", "dice-roller", 50, 90], ["GET /roll-async", "dice-roller", 90, 95], ["GET /roll-async", "frontend", 95, 100]]


def test_critical_path_of_a_stopped_batch_leads_to_the_failed_roll(model):
    told = model(otlp(dice_roller=[
        span("a", "", "GET /roll-async", 0, 50, 2), span("b", "a", "async_roll_0", 5, 45, async_roll_index=0, die_error=True),
        span("c", "a", "async_roll_1", 5, 48, async_roll_index=1, die_cancelled=True)]))
    assert [(name, start, end) for name, _, start, end in told["path"]] == [
        ("GET /roll-async", 0, 5), ("async_roll_0", 5, 45), ("GET /roll-async", 45, 50)]
    assert [state for *_, state in told["rows"]] == ["ok", "failed", "cancelled"]


def test_single_roll_is_what_follows_the_question_for_the_die(model):
    told = model(otlp(dice_roller=[span("a", "gone", "GET /roll", 0, 30, 2, die_result=4), span("b", "a", "GET", 1, 6, 3)]))
    assert told["figures"] == {"sum": 24, "together": 24, "peak": 1, "request": 30}
    assert told["own"]["GET /roll"] == [[0, 1], [6, 30]]


def test_failed_batch_is_no_single_roll(model):
    failed = {**span("a", "", "GET /roll-async", 0, 50, 2), "status": {"code": 2}}
    assert model(otlp(dice_roller=[failed, span("b", "a", "GET", 1, 6, 3)]))["figures"]["peak"] == 0


def test_clocks_that_disagree(model):
    told = model(otlp(frontend=[span("a", "", "GET /roll-async", 0, 50, 2)], dice_roller=[span("b", "a", "GET /roll-async", -5, 60, 2)]))
    assert told["path"] == [["GET /roll-async", "dice-roller", 5, 55]], "a child counts only while its parent lasts"


def test_nothing_there(model):
    assert model({})["rows"] == []
