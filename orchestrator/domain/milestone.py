"""What the commits of a run tell while it goes on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one commit tells: keys of the criteria decided by `time`, and how many attempts ended.

    Both count from the run's start; `time` is in seconds since 1970.
    """

    time: float
    criteria: tuple[str, ...]
    attempts: int

    def is_news_to(self, told: "Milestones") -> bool:
        """Whether it holds something that was not told."""
        return self.attempts > told.attempts or not set(self.criteria) <= set(told.criteria)


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestones:
    """milestones.json: what the commits of a run have told, and the last one while it went on.

    `trying` is what a commit tells that was begun, and whose end is not noted here.
    """

    criteria: tuple[str, ...] = ()
    attempts: int = 0
    time: float | None = None
    commit: str | None = None
    trying: Batch | None = None

    def after(self, batch: Batch, commit: str | None) -> "Milestones":
        """This, once a batch is told; `commit` is None if none was made."""
        return Milestones(
            criteria=tuple(sorted({*self.criteria, *batch.criteria})),
            attempts=max(self.attempts, batch.attempts),
            time=batch.time,
            commit=commit or self.commit,
        )
