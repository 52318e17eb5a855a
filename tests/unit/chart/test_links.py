"""Links between documents lead somewhere."""

import re
from pathlib import Path

import pytest

from helpers.chart import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def anchors(document: Path) -> set[str]:
    """Of headings, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{document.name}: {link}"


def test_the_index_of_docs_names_every_page_once():
    index = ROOT / "docs" / "README.md"
    named = re.findall(r"^\| \[[^]]+\]\(([\w-]+\.md)\)", index.read_text(), re.M)
    pages = {page.name for page in index.parent.glob("*.md")} - {index.name, "concepts.md"}
    assert sorted(named) == sorted(pages)
    assert "(concepts.md)" in index.read_text()
