"""The points of a metric that a report quotes, beside the whole history."""

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder

RUN = "R-000001"
VALUES = st.lists(st.floats(width=16) | st.just(math.nan), min_size=1, max_size=40)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(VALUES, min_size=1, max_size=3), time=st.integers(-1, 130))
def test_landmarks_are_those_of_the_whole_history(tmp_path_factory, make, files, time):
    """First, lowest, highest and last by a time are found as a walk over all points finds them."""
    root = tmp_path_factory.mktemp("marks")
    clock = 0
    for number, values in enumerate(files, 1):
        attempt = RunFolder(root / "runs" / RUN).attempt(number).path
        attempt.mkdir(parents=True)
        lines = []
        for step, value in enumerate(values):
            lines.append(make.point(step, time=float(clock), a=value))
            clock += 1
        (attempt / "events-box-0-1.jsonl").write_text("".join(lines))
    with Index(root / "exp.db") as index:
        index.ingest(RunFolder(root / "runs" / RUN))
    with Reader(root / "exp.db") as reader:
        whole = reader.history(RUN, "a")
        marks, before = reader.landmarks(RUN)["a"], reader.before(RUN, float(time))
    points = list(zip(whole.steps, whole.values, whole.times, strict=True))
    finite = [point for point in points if math.isfinite(point[1])]
    low = min(finite, key=lambda point: point[1], default=None)
    high = max(finite, key=lambda point: point[1], default=None)
    earlier = [point for point in points if point[2] <= time]
    assert repr(tuple(marks.first)) == repr(points[0])
    assert (marks.low and tuple(marks.low)) == low
    assert (marks.high and tuple(marks.high)) == high
    assert repr([tuple(point) for point in before.values()]) == repr(earlier[-1:])
