from nearhash_service.access import refusals
from nearhash_service.access.refusals import RefusalLog


def test_a_flood_of_refused_calls_is_counted_not_written(caplog, monkeypatch):
    log = RefusalLog()
    for i in range(100):
        log.write(f"/method/{i}", "reader", "ipv4:127.0.0.1:1")
    assert [record.getMessage() for record in caplog.records] == [
        f"refused: /method/{i}, called by reader at ipv4:127.0.0.1:1" for i in range(20)
    ]
    caplog.clear()
    monkeypatch.setattr(refusals, "_WINDOW_S", 0.0)
    log.write("/method/later", "reader", "ipv4:127.0.0.1:1")
    assert [record.getMessage() for record in caplog.records] == [
        "refused: 80 more calls in the 0 s before",
        "refused: /method/later, called by reader at ipv4:127.0.0.1:1",
    ]
