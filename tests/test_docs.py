"""Every page says what it means to say: nothing left to fill in, and no link within the project that leads nowhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("records/*/README.md")])
UNFINISHED = re.compile(r"<!--|\b(?:TODO|TBD|FIXME|XXX)\b|^[A-Z]{3,}-[A-Z]{3,}$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_nothing_is_left_to_fill_in(page):
    assert UNFINISHED.findall(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_within_the_project_lead_somewhere(page):
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_a_placeholder_would_be_found():
    assert UNFINISHED.findall("text\nTABLE-CHOICES\n") == ["TABLE-CHOICES"]
    assert UNFINISHED.findall("<!-- table of records -->") == ["<!--"]
