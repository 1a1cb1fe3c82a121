"""`python -m orchestrator.notify`: one notice, one channel, JSON on stdin, the answer on stdout."""

import ctypes
import json
import sys

from orchestrator.codec import decode
from orchestrator.domain.notice import Notice
from orchestrator.notify.channels import NotSent, send
from orchestrator.notify.settings import Channel


def main() -> int:
    """Send what stdin holds; the answer says whether it went out, and if not, why."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become our children
    asked = json.load(sys.stdin)
    notice = decode(Notice, asked["notice"], source="notice")
    channel = decode(Channel, asked["channel"], source="channel")
    answer = {"sent": True, "said": "", "again": False}
    try:
        send(notice, channel)
    except NotSent as error:
        answer = {"sent": False, "said": str(error), "again": error.again}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
