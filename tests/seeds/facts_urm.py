"""What T-0017.md says of its two attempts, and where our status report says it."""

from seeds.checklist import facts

TICKET = facts(
    ("Terminated at 80% to save costs", r"^Stopped\. Approach validated: to save costs"),
    ("Completed 80% (41,960 steps)", r"41,960 of 51,905 steps \(80.8%\)"),
    ("Speed: ~1.72 it/s", r"^- Speed: 1.72 steps/s"),
    ("8x H100", r"8 × NVIDIA H100"),
    ("step_41444: pass@1 11.25%", r"11.25% @ 41,444"),
    ("step_10361: pass@1 0.88%", r"0.88% @ 10,361"),
    ("step_41444: pass@2 17.50%", r"eval/pass@2 .*(17.5%|0.175) @ 41,444"),
    ("pass@1 exceeded 5% at 40% training", r"> 5%, met from step 20,722 on"),
    ("FAILED at step 10361/51905", r"2025-12-21 21:32:12 \| 10,361 \| R-000001: attempt 1 failed"),
    ("RuntimeError: Inplace update", r"RuntimeError: Inplace update to inference tensor outside"),
    ("Attempt 2: started 21:55", r"2025-12-21 21:55:00 .*train started"),
    ("Fix: evaluators/arc.py", r"evaluators/arc.py \| changed"),
    ("Cause: in-place update in gather", r"“In-place tensor update .*cause, Dennis"),
    ("Decision: to save costs", r"“Terminated at 80% .*decision, Dennis"),
    ("Checkpoint step_10361.pt (360MB)", r"step_10361.pt \| 343.3 MiB"),
    ("Checkpoint step_20722.pt", r"step_20722.pt"),
    ("Checkpoint step_31083.pt", r"step_31083.pt"),
    ("Checkpoint step_41444.pt", r"step_41444.pt"),
    ("Total: ~1.4GB", r"1.3 GiB"),
    ("Evaluation reports pass@1", r"met \| Evaluation runs and reports pass@1 metric"),
    ("Pod deleted after completion", r"met \| Pod deleted after completion"),
    ("arc1concept-aug-100: 100 augmentations", r"epochs \| 10000"),
)
FLAGGED = facts(
    ("[x] ~52,000 steps - completed 80%", r"failed \| Training runs for ~52,000 steps.*-7,440"),
    ("1 h 42 min lost, as nothing had been saved", r"1 h 42 min of training lost"),
    ("votes are pooled across checkpoints", r"eval/pass@1 counts votes of several checkpoints"),
)
