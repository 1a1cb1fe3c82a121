"""`exp gpu` on the terminal."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.hardware import GpuOverview, GpuRow, Holder
from orchestrator.cli.views.words import plain
from orchestrator.domain.hardware import Gpu

_BAR = 10  # characters
_MIB, _GIB = 1 << 20, 1 << 30
_WARM, _HOT = 80, 88  # degrees Celsius; from about there data-centre boards slow down
_UNREMARKABLE = {"idle", "application_clocks", "sync_boost", "display_clocks"}


def no_gpus(seen: GpuOverview) -> Text:
    """The one line that says why there is no table."""
    if seen.gpus is None:
        return Text.assemble(("GPUs unknown: ", "yellow"), plain(seen.problem or "nobody says why"))
    return Text(f"no GPU (NVIDIA driver {seen.driver or 'of unknown version'})")


def gpu_table(seen: GpuOverview) -> RenderableType:
    """A line a GPU; behind it who holds it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("gpu")
    table.add_column("name")
    table.add_column("memory")
    for name in ("load", "power", "temp"):
        table.add_column(name, justify="right")
    table.add_column("state")
    table.add_column("held by")
    for row in seen.gpus or ():
        gpu = row.gpu
        table.add_row(
            Text("└ MIG") if gpu.parent else Text(_or_dash(gpu.index), style="bold"),
            plain(gpu.name or "—"),
            memory(gpu),
            percent(gpu.utilization),
            power(gpu),
            temperature(gpu),
            _state(gpu),
            holders(row),
        )
    driver = Text(f"NVIDIA driver {seen.driver or 'of unknown version'}", style="dim")
    return Group(table, driver)


def _or_dash(value: object) -> str:
    return "—" if value is None else str(value)


def memory(gpu: Gpu) -> Text:
    """A bar and `43.1 / 140 GiB`."""
    used, total = gpu.memory_used, gpu.memory_total
    if used is None or not total:
        return Text("—" if total is None else f"? / {_size(total)}")
    share = used / total
    full = min(_BAR, round(share * _BAR + 0.4) if used else 0)
    style = "red" if share > 0.95 else "yellow" if share > 0.8 else "green"
    return Text.assemble(
        ("█" * full, style), ("░" * (_BAR - full), "dim"), f" {used / _GIB:.1f} / {_size(total)}"
    )


def _size(size: int) -> str:
    if size < _GIB:
        return f"{size / _MIB:.0f} MiB"
    return f"{size / _GIB:.0f} GiB" if size >= 10 * _GIB else f"{size / _GIB:.1f} GiB"


def percent(share: float | None) -> str:
    """`98%`, a dash for what is unknown."""
    return "—" if share is None else f"{share:.0%}"


def power(gpu: Gpu) -> str:
    """`640 / 700 W`."""
    if gpu.power is None:
        return "—"
    limit = "" if gpu.power_limit is None else f" / {gpu.power_limit:.0f}"
    return f"{gpu.power:.0f}{limit} W"


def temperature(gpu: Gpu) -> Text:
    """`61 °C`, in colour where the board slows down."""
    degrees = gpu.temperature
    if degrees is None:
        return Text("—")
    style = "red" if degrees >= _HOT else "yellow" if degrees >= _WARM else ""
    return Text(f"{degrees:.0f} °C", style=style)


def _state(gpu: Gpu) -> Text:
    """What is wrong or holds the clocks back, the worst first."""
    if gpu.problem is not None:
        return Text.assemble(("✘ ", "bold red"), (plain(gpu.problem).plain, "bold red"))
    said = []
    if gpu.recovery not in {None, "none"}:
        said.append(Text(f"✘ {gpu.recovery}", style="bold red"))
    if gpu.ecc_uncorrected:
        said.append(Text(f"{gpu.ecc_uncorrected:,} ECC errors", style="red"))
    reasons = [reason for reason in gpu.throttle or () if reason not in _UNREMARKABLE]
    said += [Text(reason.replace("_", " "), style="yellow") for reason in reasons]
    if said:
        return Text(", ").join(said)
    if gpu.throttle and "idle" in gpu.throttle:
        return Text("idle", style="dim")
    return Text("ok", style="green") if gpu.throttle is not None else Text("—")


def holders(row: GpuRow) -> Text:
    """Who holds memory on a GPU, one a line."""
    lines = [_holder(holder) for holder in row.holders or ()]
    held = {holder.run for holder in row.holders or ()}
    waiting = [run for run in row.leased_to if run not in held]
    lines += [Text.assemble((run, "cyan"), " (lease)") for run in waiting]
    if lines:
        return Text("\n").join(lines)
    return Text("nobody" if row.holders is not None else "—", style="dim")


def _holder(holder: Holder) -> Text:
    size = "" if holder.memory is None else f" {_size(holder.memory)}"
    if holder.run is not None:
        return Text.assemble((plain(holder.run).plain, "cyan"), f" pid {holder.pid}{size}")
    if holder.user is None:
        return Text.assemble(f"pid {holder.pid}{size}", (" (not visible from here)", "dim"))
    who = f"{plain(holder.user).plain}: {plain(holder.command or '?').plain}"
    return Text.assemble((who, "yellow"), f" pid {holder.pid}{size}")
