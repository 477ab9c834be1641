"""The promise: at the end of a month its bill is one command, and so is the comparison with what the provider asks for."""

import csv
import datetime as dt
import io
import json

import anyio
import pytest

from tests.journeys.administering import administered, call


@pytest.fixture
async def operator(tmp_path):
    async with administered(tmp_path) as operator:
        yield operator


async def test_calls_are_billed_to_their_team_and_compared_with_the_providers_invoice(operator, tmp_path):
    team = await operator.json("team", "create", "search")
    key = await operator.json("key", "create", "laptop", "--team", team["id"], "--tag", "cost_centre=42")
    for _ in range(3):
        assert (await call(operator, key["key"])).status_code == 200
    with anyio.fail_after(10):
        while (used := await operator.json("usage", "--by", "team,day,served"))["total"]["calls"] < 3:
            await anyio.sleep(0.05)
    (row,) = used["data"]
    month = row["day"][:7]

    # The bill.
    await operator.run("ledger", "chargeback", "bill.csv", "--month", month, "--by", "team,tag:cost_centre")
    (line,) = csv.DictReader(io.StringIO((tmp_path / "bill.csv").read_text(), newline=""))
    assert (line["team_name"], line["tag:cost_centre"], line["calls"]) == ("search", "42", "3")
    assert (line["cost"], line["currency"], line["complete"]) == ("0.0042", "USD", "true")
    assert "exists already" in await operator.run("ledger", "chargeback", "bill.csv", code=1)

    # The invoice, as CSV and as JSON, under the provider's own names.
    (tmp_path / "invoice.csv").write_text(f'Day;Model;In;Out;Amount\n{row["day"]};talker-2026;"1,800";1200;$0.0042\n')
    columns = [f"--column={pair}" for pair in ("date=Day", "model=Model", "input=In", "output=Out", "cost=Amount")]
    common = ("--provider", "play", "--model", "talker-2026=talker")
    agreed = await operator.run("ledger", "reconcile", "invoice.csv", *common, *columns)
    assert "1 of 1 lines agree; invoiced $0.0042, ledger $0.0042" in agreed

    midnight = dt.datetime.fromisoformat(row["day"]).replace(tzinfo=dt.UTC).timestamp()
    entry = {"start": int(midnight), "model": "talker-2026", "usage": {"in": 1800, "out": 1200}, "cost": 7.5}
    (tmp_path / "invoice.json").write_text(json.dumps({"data": [entry]}))
    columns = [f"--column={pair}" for pair in ("date=start", "input=usage.in", "output=usage.out")]
    differing = await operator.run("ledger", "reconcile", "invoice.json", *common, *columns, code=1)
    assert "differs" in differing
    assert "0 of 1 lines agree; invoiced $7.5, ledger $0.0042" in differing

    # What nobody pays for is seen as well.
    (tmp_path / "invoice.csv").write_text(f"date,model,input_tokens,output_tokens,cost\n{row['day']},other,1,1,0.01\n")
    found = json.loads(await operator.run("ledger", "reconcile", "invoice.csv", *common, "--json", code=1))
    assert {(line["model"], line["verdict"]) for line in found["lines"]} == {
        ("other", "only_invoiced"),
        ("talker", "only_in_ledger"),
    }
