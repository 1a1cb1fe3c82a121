"""What was written while nobody looked comes in over several looks, so that no run holds up all."""


def test_a_bounded_look_goes_on_where_the_last_one_stopped(shelf, index, make):
    """Looks of a bounded size bring the rows of one look, say when there is more, and end."""
    for rank in (0, 1):
        shelf.log(*(make.point(step, a=step / 3) for step in range(100_000)), rank=rank)
    size, heard, looks = shelf.file().stat().st_size, [], []
    while not looks or looks[-1].behind:
        taken = index.ingest(shelf.run(), wanted=["a"], on_point=heard.append, at_most=1)
        assert taken.points or looks
        looks.append(taken)
    assert len(looks) >= 2 * size // (4 << 20)
    assert sum(look.points for look in looks) == len(heard) == 200_000
    assert index.dump() == shelf.fresh_dump()
    assert not index.ingest(shelf.run(), at_most=1).points
