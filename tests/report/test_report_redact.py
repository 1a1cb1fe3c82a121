from dataclasses import fields, is_dataclass, replace
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.report import ReportKind
from orchestrator.domain.run import Command, Phase
from orchestrator.redact import is_secret_name, redact, redacted
from orchestrator.report import as_html, render_index, render_report
from orchestrator.report.facts import Indexed

HOSTS = ("gpu07.cluster.example.org", "localhost", "trainbox", "vm")


def built(*parts):
    """A planted secret, put together here so that no scanner takes this file for a leak."""
    return "".join(parts)


SECRETS = {
    "github": built("ghp_", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"),
    "fine-grained": built("github_pat_", "11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ"),
    "gitlab": built("glpat-", "abcDEF123456ghiJKL78"),
    "hugging face": built("hf_", "AbCdEfGhIjKlMnOpQrStUvWx"),
    "model provider": built("sk-proj-", "abcdefghijklmnopqrstuvwx"),
    "aws": built("AKIA", "IOSFODNN7EXAMPLE"),
    "slack": built("xoxb-", "123456789012-abcdefGHIJKL"),
    "google": built("AIza", "SyA1234567890abcdefghijklmnopqrstu"),
    "package index": built("pypi-", "AgEIcHlwaS5vcmcCJDU3"),
    "web token": built("eyJhbGciOiJIUzI1NiJ9", ".", "eyJzdWIiOiIxMjM0In0", ".", "c2lnbmF0dXJl"),
}


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("around", ["{}", "cloned with {} yesterday", "x={}", "('{}',)", "{}\n"])
def test_tokens_by_their_shape(kind, around):
    """A token of a known service is found by its shape, wherever it stands."""
    clean = redact(around.format(SECRETS[kind]))
    assert SECRETS[kind] not in clean
    assert "<secret>" in clean


@pytest.mark.parametrize(
    "line",
    [
        "WANDB_API_KEY={}",
        "export HF_TOKEN='{}'",
        'DB_PASSWORD="{}"',
        "password: {}",
        '"client_secret": "{}",',
        "--api-key {} --lr 1e-4",
        "--token={}",
        "Authorization: Bearer {}",
        "authorization: Basic {}",
        "curl -H 'X-Api-Key: {}'",
        "https://ada:{}@git.example.org/x.git",
        "aws_secret_access_key = {}",
    ],
)
def test_secrets_by_their_place(line):
    """Whatever stands where a secret stands is taken out, and the line stays readable."""
    clean = redact(line.format("correct-horse9"))
    assert "correct-horse9" not in clean
    assert "<secret>" in clean
    assert clean.split("<secret>")[0].rstrip("\"'") in line


def test_passwords_with_spaces_and_digits():
    """A quoted password of several words goes whole, and one of digits goes too."""
    assert redact('PASSWORD="correct horse battery"') == "PASSWORD=<secret>"
    assert redact("password=12345678") == "password=<secret>"


def test_private_keys():
    """A private key goes from its first line to its last, also when it is cut off."""
    begin, end = (built("-----", word, " OPENSSH PRIVATE KEY-----") for word in ("BEGIN", "END"))
    assert redact(f"a\n{begin}\nb3BlbnNzaC1r\n{end}\nz") == "a\n<secret>\nz"
    assert redact(f"a\n{begin}\nb3BlbnNzaC1r") == "a\n<secret>"


@pytest.mark.parametrize(
    "text",
    [
        "train/loss=0.51 lr=1e-4 tokens=1000000 tokens/s: 52000",
        "pad_token=<pad> eos_token='</s>' tokenizer=gpt2 max_tokens=4096",
        "loss_per_token=0.3412 predicts the next token",
        "monkey=banana keyboard: qwerty key=value1234",
        "the password is wrong",
        "commit 9f1c2ab7d3e4f5061728394a5b6c7d8e9f0a1b2c",
        "AWS_SECRET_ACCESS_KEY=$SECRET and HF_TOKEN=${HF_TOKEN}",
        "pass@1 > 5% by step 2,000; see experiments/urm/validation-5pct.toml:12",
        "/rootfs/x and /homework/y and C:/Users",
        "https://wandb.ai/ada/arcagi/runs/3ihqqd7v",
        "gpu073 gpu07b mytrainbox/x experiments/trainbox/a.toml",
        "a risk-averse ask-once task_list disk-usage-monitoring-service",
    ],
)
def test_ordinary_words_stay(text):
    """What training prints every day is left as it is."""
    assert redact(text, HOSTS, "/data/ada") == text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/ada/project/train.py:12", "~/project/train.py:12"),
        ("/Users/ada/x", "~/x"),
        ("/root", "~"),
        ("/root/.cache/x", "~/.cache/x"),
        ("file:///home/ada/x", "file://~/x"),
        ("/data/ada/runs", "~/runs"),
        ("/data/adams/runs", "/data/adams/runs"),
        ('File "/home/ada/a b.py", line 3', 'File "~/a b.py", line 3'),
    ],
)
def test_home_folders(path, shown):
    """Home folders become `~`, also one in an unusual place; their neighbours stay."""
    assert redact(path, home="/data/ada") == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("on gpu07.cluster.example.org now", "on <host> now"),
        ("GPU07: out of memory", "<host>: out of memory"),
        ("attempt-1/events-gpu07-0-811.jsonl", "attempt-1/events-<host>-0-811.jsonl"),
        ("trainbox said no", "<host> said no"),
        ("attempt-1/events-trainbox-0-811.jsonl", "attempt-1/events-<host>-0-811.jsonl"),
        ("attempt-1/events-trainbox-shim-8.jsonl", "attempt-1/events-<host>-shim-8.jsonl"),
        ("a trainbox-ready program", "a trainbox-ready program"),
        ("attempt-1/events-vm-0-8.jsonl on vm", "attempt-1/events-<host>-0-8.jsonl on vm"),
        ("localhost:29500", "localhost:29500"),
    ],
)
def test_host_names(text, shown):
    """Host names go, in full and by their first label; localhost names nobody."""
    assert redact(text, HOSTS) == shown


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text):
    """What is left after redaction is left alone by another one."""
    once = redact(text, HOSTS, "/data/ada")
    assert redact(once, HOSTS, "/data/ada") == once


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("WANDB_API_KEY", True),
        ("hf.token", True),
        ("clientsecret", True),
        ("db-password", True),
        ("credentials", True),
        ("pad_token", False),
        ("num_tokens", False),
        ("key", False),
        ("secretary", False),
        ("tokenizer", False),
    ],
)
def test_names_of_secrets(name, secret):
    """A name tells whether its value is a secret."""
    assert is_secret_name(name) is secret


def test_trees_are_redacted_through_and_through():
    """Every text of a tree is redacted, also where name and value stand apart."""
    tree = {
        "wandb": {"api_key": "abc123", "project": "arc"},
        "argv": ("train.py", "--hf-token", "abc123", "--steps", "3"),
        "hosts": ["gpu07", ("deep", "gpu07")],
        "count": 3,
        "pad_token": "<pad>",
    }
    assert redacted(tree, HOSTS) == {
        "wandb": {"api_key": "<secret>", "project": "arc"},
        "argv": ("train.py", "--hf-token", "<secret>", "--steps", "3"),
        "hosts": ["<host>", ("deep", "<host>")],
        "count": 3,
        "pad_token": "<pad>",
    }


def test_types_of_a_tree_are_kept():
    """Dataclasses and enums come back as what they are."""
    command = Command(phase=Phase.TRAIN, argv=("python", "/home/ada/train.py"))
    clean = redacted(command)
    assert clean == Command(phase=Phase.TRAIN, argv=("python", "~/train.py"))
    assert clean.phase is Phase.TRAIN


@pytest.mark.parametrize("kind", list(ReportKind))
def test_redaction_of_planted_secrets(rich, kind):
    """A secret planted into every text of the facts reaches no page, no picture, no HTML."""
    secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"  # gitleaks:allow
    place = "/home/ada/project on node07.cluster.example.org"

    def plant(item):
        if isinstance(item, str) and not isinstance(item, Enum):
            return f"{item} {secret} {place}"
        if is_dataclass(item):
            keep = {"path", "id", "hosts", "home", "notes", "goal", "key", "op", "metric"}
            return replace(
                item,
                **{
                    field.name: plant(getattr(item, field.name))
                    for field in fields(item)
                    if field.name not in keep
                },
            )
        if isinstance(item, dict):
            return {key: plant(value) for key, value in item.items()}
        return tuple(map(plant, item)) if isinstance(item, tuple) else item

    planted = plant(rich)
    assert secret in planted.run.why
    files = render_report(planted, kind)
    files["page.html"] = as_html(files[kind.page], {})
    files["README.md"] = render_index([Indexed(facts=planted, pages=(kind.page,))])
    for name, content in files.items():
        text = f"{name} {content.decode()}"
        assert secret not in text, name
        assert "node07" not in text, name
        assert "/home/ada" not in text, name
    assert "<secret>" in files[kind.page].decode()


def test_secret_parameters_and_arguments(rich):
    """A parameter or an argument whose name says secret loses its value, numbers stay."""
    run = rich.run
    command = replace(run.commands[0], argv=("train.py", "--api-key", "hunter22", "--steps", "3"))
    facts = replace(
        rich,
        run=replace(run, commands=(command,)),
        configuration={"wandb": {"api_key": "hunter23"}, "max_tokens": 4096},
    )
    page = render_report(facts)["report.md"].decode()
    assert "hunter2" not in page
    assert "--steps 3" in page
    assert "| `max_tokens` | `4096` |" in page
