"""docs/notifications.md says what there is."""

from dataclasses import fields
from pathlib import Path

from orchestrator.domain.notice import Notice, NoticeKind
from orchestrator.notify.settings import NotifyConfig

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "notifications.md").read_text()


def test_every_key_kind_and_field_is_documented():
    """What may be configured, what may come, and what a notice holds."""
    names = [field.name for kind in (Notice, NotifyConfig) for field in fields(kind)]
    missing = [name for name in [*names, *NoticeKind] if f"`{name}`" not in TEXT]
    assert not missing
