"""Two replicas on one PostgreSQL that are killed and hang at random: every run ends, its stream has no gap, and nothing is done twice."""

import anyio

from tests.faults.replica_storm import Storm

SECONDS = 20


async def test_every_run_ends_and_nothing_is_done_twice_while_replicas_are_killed_at_random(tmp_path, postgres_server):
    storm = Storm(tmp_path, postgres_server.new_database(), seed=7, jobs=400)

    with anyio.fail_after(240):
        await storm.run(SECONDS)

    assert storm.kills + storm.hangs >= 4, "it was no storm"
    assert len(storm.runs) >= 20, "nobody was at work"
    assert sum(storm.ends.values()) == len(storm.runs)
    assert [text for text, count in storm.effects().items() if count > 1] == []
