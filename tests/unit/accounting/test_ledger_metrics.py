"""The ledger's state can be scraped, what is lost above all."""

from gateway.accounting.ledger import Ledger
from gateway.accounting.ledger_metrics import ledger_readings
from gateway.config.ledger_settings import LedgerSettings
from tests.unit.accounting.memory_ledger import TARGETS, MemoryLedger, OneDollarAToken, call, record


async def test_the_metrics_say_what_became_of_the_rows(tmp_path):
    ledger = Ledger(MemoryLedger(), LedgerSettings(spool=str(tmp_path)), pricing=OneDollarAToken)
    ledger.open(call(1), TARGETS)
    ledger.take([record(1), record(2)])
    lines = [line for reading in ledger_readings(ledger) for line in reading.render()]

    assert "switchgear_ledger_rows_waiting 2" in lines
    assert f"switchgear_ledger_spool_bytes {ledger.spool_bytes}" in lines
    await ledger.flush()
    lines = [line for reading in ledger_readings(ledger) for line in reading.render()]
    assert 'switchgear_ledger_rows_total{state="written"} 2' in lines
    assert 'switchgear_ledger_rows_total{state="dropped"} 0' in lines
    assert "switchgear_ledger_calls_unopened_total 0" in lines
    await ledger.aclose()
