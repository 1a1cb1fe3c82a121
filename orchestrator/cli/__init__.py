"""The `exp` command. Each command is a few lines: call an action, show what comes back."""

import errno
import os
import sys


def main() -> None:
    """Entry point: run the command line; errors end with their exit code, pipes quietly."""
    from orchestrator.cli.app import app
    from orchestrator.errors import ExpError

    try:
        app()
    except ExpError as error:
        from orchestrator.cli.console import show_error

        show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # `exp run logs | head`: the reader has enough. Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write(f"error: {error.strerror}: {error.filename or 'the output'}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(7)
