from nearhash.v1 import lookup_pb2
from nearhash_client import Allowed, LookupResult, Match, Unsearchable
from nearhash_client.answers import merge, take_apart
from nearhash_client.requests import Terms


def test_answers_of_parts_are_numbered_over_the_whole_lookup():
    parts = Terms().split(range(1, 6), 2)
    answers = [
        lookup_pb2.LookupResponse(
            generation=7 - i, sequence=9 + i, allowed=[lookup_pb2.Allowed(query=0, bank="fine", entry_id=f"e{i}")]
        )
        for i in range(3)
    ]
    result = merge(parts, answers)
    assert (result.generation, result.sequence) == (5, 9)
    assert result.allowed == tuple(Allowed(2 * i, "fine", f"e{i}", "") for i in range(3))


def test_an_answer_taken_apart_gives_each_hash_its_own():
    response = lookup_pb2.LookupResponse(
        generation=7,
        sequence=9,
        matches=[lookup_pb2.Match(query=query, distance=query + i, bank="b") for query in (1, 3) for i in range(2)],
        unsearchable=[lookup_pb2.Unsearchable(query=2, reason="flat")],
        truncated=[3],
        allowed=[lookup_pb2.Allowed(query=4, bank="fine", entry_id="e")],
    )

    def match(distance: int) -> Match:
        return Match(0, distance, "b", "", "", (), None)

    assert take_apart(response, 6) == [
        LookupResult(7, 9, (), (), ()),
        LookupResult(7, 9, (match(1), match(2)), (), ()),
        LookupResult(7, 9, (), (Unsearchable(0, "flat"),), ()),
        LookupResult(7, 9, (match(3), match(4)), (), (0,)),
        LookupResult(7, 9, (), (), (), (Allowed(0, "fine", "e", ""),)),
        LookupResult(7, 9, (), (), ()),
    ]
