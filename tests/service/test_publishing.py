from concurrent.futures import ThreadPoolExecutor

import grpc

from .calls import RNG, apply, generations, hash_message, release, rollback, update, upsert
from .running import connected, eventually, serving
from .sample import DISABLED, EMPTY
from .violations import refusal

def test_publish_serves_the_changes_and_rollback_goes_back(own_stubs):
    value = RNG.bytes(8)
    assert refusal(rollback, own_stubs).code() == grpc.StatusCode.NOT_FOUND
    sequence = apply(own_stubs, EMPTY, upsert("added", hash_message(1, value))).sequence
    update(own_stubs, DISABLED, enabled=True)

    def found() -> list[str]:
        return [match.entry_id for match in own_stubs.lookup(hash_type=1, hashes=value).matches]

    assert found() == []
    assert own_stubs.status().current.sequence < sequence
    made = own_stubs.publish()
    assert (made.number, made.sequence, made.current) == (2, sequence + 1, True)
    eventually(lambda: own_stubs.lookup(hash_type=1, hashes=value).generation == 2)
    assert found() == ["added"]
    assert own_stubs.publish() == made, "nothing changed, so nothing is built"
    assert [(g.number, g.current) for g in generations(own_stubs)] == [(2, True), (1, False)]

    assert rollback(own_stubs).number == 1
    eventually(lambda: own_stubs.status().worker.generation == 1)
    assert found() == []
    assert [(g.number, g.current) for g in generations(own_stubs)] == [(2, False), (1, True)]
    assert refusal(rollback, own_stubs).code() == grpc.StatusCode.NOT_FOUND
    assert rollback(own_stubs, 2).number == 2
    eventually(lambda: own_stubs.status().worker.generation == 2)
    error = refusal(rollback, own_stubs, 3)
    assert (error.code(), "there are: 2, 1" in error.details()) == (grpc.StatusCode.NOT_FOUND, True)
    assert refusal(rollback, own_stubs, 2**64 - 1).code() == grpc.StatusCode.NOT_FOUND

    rollback(own_stubs, 1)
    assert own_stubs.publish().number == 3, "what was rolled back comes again with the next publish"
    eventually(lambda: found() == ["added"])


def test_rollback_and_status_before_the_first_publish(tmp_path):
    with serving(tmp_path / "server", tmp_path / "data") as running, connected(running.address) as stubs:
        assert refusal(rollback, stubs).code() == grpc.StatusCode.UNAVAILABLE
        assert refusal(rollback, stubs, 1).code() == grpc.StatusCode.NOT_FOUND
        status = stubs.status()
        assert (status.sequence, status.HasField("current"), status.worker.generation) == (0, False, 0)
        assert generations(stubs) == []
        assert stubs.publish().entry_count == 0


def test_of_two_publishes_at_once_one_is_aborted_or_both_give_the_same(own_stubs):
    apply(own_stubs, EMPTY, upsert("added"))

    def publish(_: int) -> int | grpc.StatusCode:
        try:
            return own_stubs.publish().number
        except grpc.RpcError as error:
            return error.code()

    with ThreadPoolExecutor(3) as pool:
        outcomes = set(pool.map(publish, range(3)))
    assert outcomes - {grpc.StatusCode.ABORTED} == {2}
    assert [g.number for g in generations(own_stubs)] == [2, 1]


def test_a_generation_that_cannot_be_read_is_left_out_and_refused(tmp_path, data):
    with serving(tmp_path / "server", data) as running, connected(running.address) as stubs:
        apply(stubs, EMPTY, upsert("added"))
        stubs.publish()
        (data / "generations" / "000001" / "MANIFEST.json").write_text("{}")
        assert [g.number for g in generations(stubs)] == [2]
        assert refusal(rollback, stubs, 1).code() == grpc.StatusCode.DATA_LOSS
        assert stubs.status().current.number == 2
