"""Memory that ends: the policy is to stop with a word of it (common/mem.h)."""

from lib import memory
from lib.testing import expect, expect_equal

SAMPLE = 10


def test_P8_allocation_fails(test):
    """One allocation, or all from one on: any of those of a whole life."""
    life = memory.Round(test)
    expect_equal(life.run(), 0, "status with enough memory")
    count = life.allocations()
    life.check_memory()
    struck = sum(
        memory.fail_at(life, test.random.randrange(1, count),
                       test.random.choice((1, memory.FOR_EVER)))
        for _ in range(SAMPLE))
    expect(struck >= SAMPLE // 2, f"only {struck} of {SAMPLE} struck")
    test.note(f"{count} allocations")
