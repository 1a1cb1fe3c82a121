"""Step 4: a checkpoint written, verified, timed and sized."""

from orchestrator.clock import format_brief
from orchestrator.domain.finding import Quote
from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts
from orchestrator.domain.sizes import format_size
from orchestrator.rehearsal import measures
from orchestrator.rehearsal.checks.causes import ending, failed_span, remedy
from orchestrator.rehearsal.checks.steps import Judgement, not_asked, skipped

_MOST_SAVING = 0.20  # of the time
_REHEARSED = 6  # checkpoints that lie there at once: two of each training


def check_checkpoint(
    control: StageFacts,
    plan: Plan,
    free_disk: int | None = None,
    free_inodes: int | None = None,
) -> RehearsalStep:
    """Whether checkpoints are whole, quick enough, and fit into what was free before them."""
    if not control.asked:
        return not_asked(4, plan)
    found = Judgement(4, plan, control)
    broken, how = failed_span(control), ending(control, plan.budget)
    if how is not None and broken is not None and broken.phase == measures.CHECKPOINT:
        error = f": {broken.error}" if broken.error is not None else ""
        found.fail(
            f"saving did not end well: the program {how}{error}",
            remedy(control, measures.CHECKPOINT),
            control.error,
        )
    elif not control.saved:
        if how is not None:
            return skipped(4, "training did not get that far", plan)
        found.fail(
            f"no checkpoint was saved, though one was asked for every {plan.every} steps",
            "save one with run.checkpoint(...) after every track.rehearsal().every steps",
        )
    for saved in control.saved:
        if saved.problem is not None:
            checkpoint = saved.checkpoint
            found.fail(
                f"torn checkpoint of step {checkpoint.step:,}: {saved.problem}",
                "write it completely before run.checkpoint(...), and change nothing behind it",
                Quote(source=control.folder, text=f"{checkpoint.path}: {saved.problem}"),
            )
    _times(found, control, plan)
    _disk(found, control, plan, free_disk)
    _inodes(found, control, plan, free_inodes)
    if control.saved and not any(each.checkpoint.step == plan.every for each in control.saved):
        steps = ", ".join(f"{each.checkpoint.step:,}" for each in control.saved)
        found.warn(
            f"saved at step {steps}, not at step {plan.every:,} as asked",
            "name the number of optimizer steps taken as the checkpoint's step",
        )
    size = measures.checkpoint_bytes(control) or 0
    seconds = sum(each.took or 0.0 for each in control.saved)
    words = f"{len(control.saved)} whole, the largest {format_size(size)}"
    return found.step(f"{words}, every file with its size and hash", seconds)


def _times(found: Judgement, control: StageFacts, plan: Plan) -> None:
    took, step = measures.checkpoint_seconds(control), measures.step_seconds(control)
    if took is None:
        return
    found.note(f"saving takes {format_brief(took)}")
    if step is None or plan.checkpoint_every is None:
        return
    share = took / (took + plan.checkpoint_every * step)
    if share > _MOST_SAVING:
        proposed = measures.interval_for(took, step)
        found.warn(
            f"saving takes {share:.0%} of the time: {format_brief(took)} every "
            f"{plan.checkpoint_every:,} steps of {format_brief(step)}",
            f"save every {proposed:,} steps, or in the background",
        )


def _disk(found: Judgement, control: StageFacts, plan: Plan, free: int | None) -> None:
    size, kept = measures.checkpoint_bytes(control), measures.checkpoints_kept(plan)
    if size is None or kept is None:
        return
    line = f"{kept:,} checkpoints of {format_size(size)} take {format_size(kept * size)}"
    if free is None:
        found.note(line)
    elif kept * size > free:
        fewer = max(1, free // size - 1)
        found.fail(
            f"the disk is too small: {line}, {format_size(free)} free",
            f"free {format_size(kept * size - free)}, or keep at most {fewer:,}"
            if free >= 2 * size
            else f"free {format_size(kept * size - free)}, or save elsewhere",
        )
    else:
        found.note(f"{line}, {format_size(free)} free")


def _inodes(found: Judgement, control: StageFacts, plan: Plan, free: int | None) -> None:
    """Files of sharded checkpoints may take all inodes of a disk that has room enough."""
    files = max((each.checkpoint.files for each in control.saved), default=0)
    kept = measures.checkpoints_kept(plan)
    if free is not None and kept is not None and kept * files > free:
        found.fail(
            f"too few inodes: {kept:,} checkpoints of {files:,} files, {free:,} inodes free",
            "keep fewer checkpoints, or write fewer files for each",
        )


def is_cramped(control: StageFacts, free_disk: int | None) -> bool:
    """Whether the disk holds the checkpoints of this stage, and not those of more trainings."""
    size = measures.checkpoint_bytes(control)
    return size is not None and free_disk is not None and free_disk < _REHEARSED * size
