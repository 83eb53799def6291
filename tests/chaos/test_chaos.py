"""The short form of the chaos runs: two web processes and a worker, a Redis, the embedded database and the providers' stand-ins,
with nearly every fault there is. `scripts/chaos` is the long form."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.faults import KINDS
from tests.chaos.report import offenders, table
from tests.chaos.run import Outcome, Wish, run

# A send that hangs holds its conversation for the 20 s of a provider's timeout and 10 s of waiting for evidence, each time.
SHORT = Wish(
    seed=1,
    messages=110,
    processes=3,
    faults=tuple(k for k in KINDS if k != "provider-hang"),
    lease=5.0,
    brief=True,
)


async def outcome(wish: Wish, folder: Path) -> Outcome:
    found = await run(wish, folder, lambda _: None)
    assert found.verdict.passed, "\n".join([*table([found]), *offenders(found), *found.log])
    return found


@pytest.mark.timeout(240)
async def test_with_everything_failing_nothing_is_lost_doubled_unmarked_out_of_order_or_stuck(
    tmp_path: Path,
) -> None:
    found = await outcome(SHORT, tmp_path)
    assert found.verdict.counts["acknowledged"] == found.verdict.counts["sent"] >= SHORT.messages
    assert len(found.faults) >= 5, "hardly anything went wrong"


@pytest.mark.timeout(240)
async def test_processes_that_share_only_the_database_do_as_well(tmp_path: Path) -> None:
    faults = ("kill", "stop", "terminate", "database-stop", "provider-drop", "provider-429")
    await outcome(replace(SHORT, seed=2, messages=60, redis=False, faults=faults), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [11, 12])
async def test_five_thousand_messages_and_every_fault(tmp_path: Path, seed: int) -> None:
    await outcome(Wish(seed=seed, messages=5000, processes=4, faults=KINDS), tmp_path)
