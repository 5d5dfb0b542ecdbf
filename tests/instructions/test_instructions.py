"""Compares the instructions and the allocations per request with those in the golden file of this Debian release.

DICE_BIN: folder of the programs (default build/release/bin), with optimisation and without sanitizers.
"""

import json
import shutil

import instructions
import pytest

TOLERANCE = 0.01  # runs of the same programs have differed from their median by at most 0.5 %, also on a busy machine
RENEW = "if that is what the change is for, renew the golden file with `make instructions`"


def differences(golden, counted):
    """What differs by more than the tolerance, either way: a gain is recorded, too."""
    found = [] if golden.keys() == counted.keys() else [f"counted are {[*counted]}, golden are {[*golden]}"]
    for case in golden.keys() & counted.keys():
        if golden[case].keys() != counted[case].keys():
            found.append(f"{case}: counted are {[*counted[case]]}, golden are {[*golden[case]]}")
            continue
        for service, before in golden[case].items():
            for figure, expected in before.items():
                now = counted[case][service][figure]
                if abs(now / expected - 1) > TOLERANCE:
                    found.append(f"{case}, {service}: {now:,} {figure} per request, {now / expected - 1:+.1%} of {expected:,}")
    return found


def test_a_difference_is_found_in_both_directions():
    golden = {"/dice": {"one": {"instructions": 1000, "allocations": 100.0}}}
    for now, expected in (((1009, 99.1), ""), ((1011, 100), "one: 1,011 instructions per request, +1.1% of 1,000"),
                          ((989, 100), "989 instructions per request, -1.1%"), ((1000, 98), "98 allocations per request, -2.0%")):
        found = differences(golden, {"/dice": {"one": dict(zip(("instructions", "allocations"), now))}})
        assert len(found) == bool(expected) and expected in "".join(found), found
    assert differences(golden, {}) and differences(golden, {"/dice": {}}) and differences({}, golden)


def test_instructions_and_allocations_per_request(capsys):
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    path = instructions.golden_path()
    try:
        counted, shares = instructions.count()
    except instructions.Unreadable as error:
        pytest.skip(f"nothing can be counted here: {error}")
    golden = json.loads(path.read_text()) if path.exists() else None
    for _ in range(2):  # a thread that had to wait for another counts as a difference; what the code does is in each run
        if golden and differences(golden["per_request"], counted):
            counted, shares = instructions.count()
    with capsys.disabled():
        print("\n" + instructions.table(counted, shares))
    if not golden:
        pytest.skip(f"nothing to compare these figures with: there is no {path.name}; `make instructions` writes it")
    found = differences(golden["per_request"], counted)
    others = [f"{package} {version}, the golden file was written with {golden['versions'].get(package)}"
              for package, version in instructions.versions().items() if version != golden["versions"].get(package)]
    assert not found, "\n".join([*found, *others, RENEW])
