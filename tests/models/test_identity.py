"""The identity table and its sparse sign-SGD."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models.identity import IdentityTable, identity_rows, rows_needed, sign_sgd, sign_sgd_

ROOT = Path(__file__).resolve().parents[2]


def filled(rows=9, width=4):
    table = IdentityTable(rows, width)
    table.weight.copy_(torch.randn(rows, width, generator=torch.Generator().manual_seed(0)))
    return table


def batch(step, rows=9, width=4, examples=6, named=2):
    """Ids with many repeats, and gradients of which some are zero."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(rows - 2, (examples, named), generator=generator)
    grads = torch.randn(examples, named, width, generator=generator)
    grads[..., 0] = 0
    return ids, grads


def literal(table, ids, grads, lr, decay):
    """The method of HRM's code, row after row, in Python's floats; `table` is a list of lists."""
    sums = {}
    for row, gradient in zip(ids.flatten().tolist(), grads.flatten(0, 1).tolist(), strict=True):
        old = sums.get(row, [0.0] * len(gradient))
        sums[row] = [a + b for a, b in zip(old, gradient, strict=True)]
    for row, total in sums.items():
        sign = [(g > 0) - (g < 0) for g in total]
        moved = zip(table[row], sign, strict=True)
        table[row] = [p * (1 - lr * decay) - lr * s for p, s in moved]


def test_sign_sgd_is_the_literal_method():
    """Fifty steps with repeated ids end where the method, row after row, ends."""
    table = filled()
    expected = table.weight.tolist()
    for step in range(50):
        ids, grads = batch(step)
        sign_sgd_(table, ids, grads, 0.01 * (1 + step % 2), 0.1)
        literal(expected, ids, grads, 0.01 * (1 + step % 2), 0.1)
    torch.testing.assert_close(table.weight, torch.tensor(expected))


def test_only_named_rows_move():
    """Rows that the batch does not name keep every bit; a named row with no gradient decays."""
    table, before = filled(), filled().weight
    sign_sgd_(table, torch.tensor([[3, 5], [3, 3]]), torch.zeros(2, 2, 4), 0.5, 0.1)
    named = torch.tensor([3, 5])
    torch.testing.assert_close(table.weight[named], before[named] * 0.95)
    others = torch.tensor([0, 1, 2, 4, 6, 7, 8])
    assert torch.equal(table.weight[others], before[others])


def test_gradients_of_one_id_that_cancel_move_nothing():
    """The sign is taken of the sum, not summed of the signs."""
    table, before = filled(), filled().weight
    ids = torch.tensor([[1], [1], [1]])
    grads = torch.tensor([3.0, -1.0, -2.0])[:, None, None].expand(3, 1, 4)
    sign_sgd_(table, ids, grads, 0.5, 0.0)
    assert torch.equal(table.weight, before)


def test_equal_ids_get_equal_values_in_any_order():
    """With hundreds of rows of few ids, each id has one value, and the order of rows is nothing."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, (301,), generator=generator)
    grads = torch.randn(301, 7, generator=generator) * 1e-6
    order = torch.randperm(301, generator=generator)
    values = sign_sgd(torch.zeros(301, 7), ids, grads, 0.1, 0.0)
    shuffled = sign_sgd(torch.zeros(301, 7), ids[order], grads[order], 0.1, 0.0)
    assert torch.equal(values[order], shuffled)
    for row in range(5):
        assert len(values[ids == row].unique(dim=0)) == 1


def test_a_blank_identity_is_one_row():
    """Puzzles without identifiers (Sudoku) all move row 0, by the sign of their sum."""
    table = IdentityTable(1, 3)
    grads = torch.tensor([[1.0, -1.0, 0.0], [1.0, 3.0, 0.0]])[:, None]
    sign_sgd_(table, torch.zeros(2, 1, dtype=torch.long), grads, torch.tensor(0.25), 1.0)
    assert table.weight.tolist() == [[-0.25, -0.25, 0.0]]


def test_the_lookup_is_a_leaf_that_gets_the_gradient():
    """Looked-up rows carry gradient; the table is saved, starts at zero and is no parameter."""
    table = filled()
    rows = table.lookup(torch.tensor([[2, 2], [0, 1]]))
    assert (rows.shape, rows.dtype, rows.is_leaf) == ((2, 2, 4), torch.float32, True)
    (rows.sum(1) * torch.tensor([[1.0], [5.0]])).sum().backward()
    assert rows.grad[:, :, 0].tolist() == [[1.0, 1.0], [5.0, 5.0]]
    assert list(table.parameters()) == []
    fresh = IdentityTable(9, 4)
    assert not fresh.weight.any()
    fresh.load_state_dict(table.state_dict())
    assert torch.equal(fresh.weight, table.weight)
    with torch.no_grad():
        rows += 1
    assert torch.equal(fresh.weight, table.weight), "rows are a copy"


class Waits(TorchDispatchMode):
    """Collects the operations whose result's shape or value the host must wait for."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        waiting = "unique" in name or name in {"_local_scalar_dense", "nonzero", "masked_select"}
        self.seen += [name] if waiting else []
        return function(*args, **(kwargs or {}))


def test_a_step_waits_for_nothing():
    """Neither lookup nor update asks for a value or for a shape that depends on one."""
    table, (ids, grads) = filled(), batch(0)
    with Waits() as waits:
        table.lookup(ids)
        sign_sgd_(table, ids, grads, torch.tensor(0.1), 0.1)
    assert waits.seen == []
    with waits:
        ids.unique()
    assert waits.seen


PROGRAM = """
import sys
import torch
import torch.distributed as dist
from models.identity import IdentityTable, sign_sgd_

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
begun = torch.load(sys.argv[1])
table = IdentityTable(*begun["weight"].shape)
table.weight.copy_(begun["weight"])
for ids, grads in begun["batches"]:
    mine, of_mine = ids[rank::size].contiguous(), grads[rank::size].contiguous()
    all_ids, all_grads = torch.empty_like(ids), torch.empty_like(grads)
    dist.all_gather_into_tensor(all_ids, mine)
    dist.all_gather_into_tensor(all_grads, of_mine)
    sign_sgd_(table, all_ids, all_grads, 0.01, 0.1)
torch.save(table.weight, sys.argv[2] + str(rank))
dist.destroy_process_group()
"""


def test_processes_that_gather_equal_one(tmp_path):
    """Two processes with half a batch each end, bit by bit, where one with all of it ends."""
    table, batches = filled(), [batch(step) for step in range(10)]
    torch.save({"weight": table.weight, "batches": batches}, tmp_path / "begun")
    (tmp_path / "program.py").write_text(PROGRAM)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    program = [tmp_path / "program.py", tmp_path / "begun", tmp_path / "end"]
    subprocess.run(
        [*launcher, "--nproc-per-node", "2", *map(str, program)],
        check=True,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    for ids, grads in batches:
        sign_sgd_(table, ids, grads, 0.01, 0.1)
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"end{rank}"), table.weight)


NAMES = ("<blank>", "b", "a|||t3|||0123456789", "b|||t5|||0123456789", "a|||t0|||0123456789")


def test_whole_identities_have_a_row_each():
    """Every identifier names the row of its own number."""
    rows = identity_rows(NAMES, "whole")
    assert rows.tolist() == [[0], [1], [2], [3], [4]]
    assert (rows.dtype, rows_needed(rows)) == (np.int64, 5)


def test_parts_share_the_rows_of_task_and_symmetry():
    """Views of a task share its row, views of one kind share theirs; a bare name is unturned."""
    rows = identity_rows(NAMES, "parts")
    assert rows.tolist() == [[0, 0], [1, 3], [2, 6], [1, 8], [2, 3]]
    assert (rows.dtype, rows_needed(rows)) == (np.int64, 9)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("<blank>", "a|||t1|||0213456789"), "a|||t1|||0213456789.*recolouring"),
        (("<blank>",), "has no tasks"),
    ],
)
def test_parts_of_other_names_are_refused(names, words):
    """Recoloured tasks and puzzles without a task cannot be named by parts."""
    with pytest.raises(ValueError, match=words.replace("|", r"\|")):
        identity_rows(names, "parts")
