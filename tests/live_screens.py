"""What stands on a screen, as text, and eyes that see what they are given."""

from pathlib import Path

from textual.pilot import Pilot

from orchestrator.cli.live.eyes import Seen

SCREENS = Path(__file__).parent / "live" / "screens"


class Given:
    """Eyes that saw once, and were told what to look at since."""

    def __init__(self, facts):
        self.facts = facts
        self.asked = []

    def open(self, tell):
        """Tell what was given."""
        self.tell = tell
        tell(Seen(self.facts))

    def close(self):
        """There is nothing to end."""

    def look_now(self):
        """There is nothing new."""

    def near(self, run):
        """Remember what was opened."""
        self.asked.append(run)

    def choose(self, metric):
        """Remember what was chosen."""
        self.asked.append(metric)


def text_of(app) -> str:
    """The lines of the screen in front without blanks at their ends."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(part.text for part in strip).rstrip() for strip in strips) + "\n"


async def until(pilot: Pilot, condition, *, turns=500):
    """Let the application go on until something is true of it."""
    for _ in range(turns):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(text_of(pilot.app))
