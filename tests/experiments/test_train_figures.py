"""What train.py says of the rows that leave their slots, and of the continue head."""


def test_rows_that_leave_are_counted(sudoku_run, programs):
    """Each of 80 steps says which share of the 4 rows leave; rows stay for 1 to 3 segments."""
    leaving = programs.series(sudoku_run, "train/leaving")
    assert len(leaving) == 80
    assert set(leaving.values()) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert leaving[1] == leaving[2] == 0.0  # heads begin at "not yet", so all leave after three
    assert leaving[3] == 1.0
    ages = programs.series(sudoku_run, "train/leaving_age")
    assert set(ages) == {step for step, share in leaving.items() if share}
    assert ages[3] == 3.0
    assert all(1 <= age <= 3 for age in ages.values())
    right = programs.series(sudoku_run, "train/leaving_exact")
    assert set(right) == set(ages)
    assert all(0 <= share <= 1 for share in right.values())


def test_the_loss_of_the_continue_head_is_logged_where_there_is_one(sudoku_run, arc_run, programs):
    """With HRM's second head the loss is the grid's and half of both heads'."""
    assert programs.series(sudoku_run, "train/continue_loss") == {}
    names = ("loss", "grid_loss", "halt_loss", "continue_loss")
    loss, grid, halt, further = (programs.series(arc_run, f"train/{name}") for name in names)
    assert len(further) == 80
    assert all(
        abs(loss[step] - grid[step] - 0.5 * (halt[step] + further[step])) < 1e-4 for step in loss
    )
