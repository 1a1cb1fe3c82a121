import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from orchestrator.report import Kind, as_html, render_report

OURS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "ol", "li"),
    *("strong", "em", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "a", "img"),
    *("blockquote", "details", "summary", "sub", "br", "hr"),
}


class Tags(HTMLParser):
    """What a browser would see as tags."""

    def __init__(self, page):
        super().__init__()
        self.seen, self.attributes, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.text += data


def page_of(facts, kind=Kind.STATUS):
    files = render_report(facts, kind)
    pictures = {name: content for name, content in files.items() if name != kind.page}
    return as_html(files[kind.page], pictures).decode()


@pytest.mark.parametrize("kind", list(Kind))
def test_page_is_self_contained(rich, kind):
    """The page loads nothing: curves are inside, no script, no style or font from elsewhere."""
    page = page_of(rich, kind)
    tags = Tags(page)
    assert set(tags.seen) <= OURS
    sources = [value for _, name, value in tags.attributes if name in {"src", "srcset"}]
    assert all(value.startswith("data:image/svg+xml;base64,") for value in sources)
    assert len(sources) == len(render_report(rich, kind)) - 1
    assert "url(" not in page
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_page_says_what_the_markdown_says(rich):
    """Headings, tables and folds of the Markdown are those of the HTML."""
    markdown = render_report(rich)["report.md"].decode()
    tags = Tags(page_of(rich))
    assert tags.seen.count("h2") == len(re.findall(r"^## ", markdown, re.MULTILINE))
    assert tags.seen.count("table") == len(re.findall(r"^\|[-:| ]+\|$", markdown, re.MULTILINE))
    assert tags.seen.count("details") == markdown.count("<details>")
    assert "T-0017 status: Run 5% validation training, pass@1 > 5%" in tags.text


def test_a_link_within_the_page_finds_its_heading(rich):
    """The link to the decision point leads to that heading."""
    attributes = Tags(page_of(rich)).attributes
    assert ("a", "href", "#decision-point") in attributes
    assert ("h2", "id", "decision-point") in attributes


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<sub onclick=alert(1)>x</sub>",
    "</style><script>1</script>",
    "[x](javascript:alert(1))",
    "![x](https://tracker.example/x.png)",
    "<a href='data:text/html,x'>x</a>",
    "--><script>alert(1)</script>",
    "<!-- <script>1</script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_stays_text(rich, text):
    """No title, log line, metric, note or person's region can become a tag or load anything."""
    facts = replace(
        rich,
        ticket=replace(rich.ticket, title=text),
        log_tail=(text,),
        metrics=(replace(rich.metrics[0], name=text),),
        remarks=(replace(rich.remarks[0], text=text),),
        configuration={text: text},
        reported=((text, text),),
        notes=f"{text}\n\n{text}\n",
    )
    for kind in Kind:
        tags = Tags(page_of(facts, kind))
        assert set(tags.seen) <= OURS
        for tag, name, value in tags.attributes:
            assert not name.startswith("on")
            assert name != "src" or value.startswith("data:image/svg+xml;base64,")
            assert name != "href" or not re.match(r"\s*(javascript|data|vbscript):", value)
            assert name != "style" or re.fullmatch(r"text-align:\w+", value)
            assert name in {"href", "src", "alt", "id", "class", "lang", "style"} or tag == "meta"


def test_same_facts_same_html(rich):
    """Rendering twice gives the same bytes."""
    assert page_of(rich) == page_of(rich)
