from nearhash_client import LookupResult, Match


def match(query: int, distance: int) -> Match:
    return Match(query, distance, "bank", f"entry-{query}-{distance}", "source", (), None)


def test_by_query_keeps_the_order_and_leaves_out_what_has_no_match():
    matches = (match(0, 0), match(0, 3), match(4, 1))
    result = LookupResult(generation=1, sequence=1, matches=matches, unsearchable=(), truncated=())
    assert result.by_query() == {0: [match(0, 0), match(0, 3)], 4: [match(4, 1)]}
