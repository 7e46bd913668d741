"""System calls that fail, a few at random; call_errors.py has them all."""

from lib import calls
from lib.testing import Failure, Test, expect

CASES = 16
# Beyond, a call is one of many alike.
NUMBER_MAX = 60
# So that one of them is a block of the journal: they alternate with seals.
LOST_MAX = 6


def in_directory(test, name):
    """A test within the test, as each has daemons of its own."""
    inner = Test(name, test.random.random())
    test.defer(inner.close, False)
    return inner


def test_D3_calls_fail(test):
    """
    Whatever fails, nothing is acknowledged that is not there, nothing hangs,
    and a daemon that ends says why.
    """
    survey = calls.Survey(test, 1)
    survey.check_table()
    fired = 0
    ends = 0
    for place in range(CASES):
        call = test.random.choice(
            [name for name in calls.ERRORS if survey.calls[name]])
        error = test.random.choice(calls.ERRORS[call].split())
        number = test.random.randint(
            1, min(survey.calls[call], NUMBER_MAX))
        inner = in_directory(test, f"case{place}")
        status = calls.run_case(
            inner, survey, 1, call, calls.fault_of(error), number,
            kills=test.random.random() < 0.5)
        fired += status is not None
        ends += status not in (None, 0)
    # Which calls there are depends on the time, a little.
    expect(fired > CASES / 2, f"of {CASES} calls {fired} failed")
    test.note(f"{fired} calls failed, {ends} ended the daemon")


def test_write_that_is_lost_is_caught(test):
    """What would be found if the daemon acknowledged what is not there."""
    survey = calls.Survey(test, 1)
    pages = [number for number, line in enumerate(survey.lines["pwrite64"], 1)
             if line.rstrip().endswith(" = 4096")]
    for number in pages[len(pages) // 2:][:LOST_MAX]:
        inner = in_directory(test, f"lost{number}")
        try:
            calls.run_case(
                inner, survey, 1, "pwrite64", "retval=4096", number,
                kills=True)
        except Failure as failure:
            test.note(str(failure)[:80])
            return
    raise Failure("writes were lost, and nothing was found")
