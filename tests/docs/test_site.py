"""The site as built: its links lead somewhere, its pages load nothing from elsewhere."""

from __future__ import annotations

import html.parser
import importlib
import inspect
import pkgutil
import zlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import keras_lcb as lcb

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Page(html.parser.HTMLParser):
    """What a page links to, what it loads, and the places in it that others may link to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.places = set(), set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.places |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])
        if tag in LOADED and attributes.get(LOADED[tag]):
            self.loads.add(attributes[LOADED[tag]])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def leads_nowhere(pages, page, address):
    """Whether an address within the site has no file, or no such place in it."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return False
    target = Path(page.parent, unquote(parts.path)).resolve() if parts.path else page
    place = unquote(parts.fragment)
    known = pages[target].places if target in pages else ()
    # The atlas has a place for each training, which its script reads.
    is_known = not place or place in known or "atlas" in target.parts
    return not target.exists() or not is_known


def test_links_within_the_site_lead_somewhere(pages):
    assert len(pages) > 40
    broken = [
        f"{page.name} -> {address}"
        for page, found in pages.items()
        for address in found.links | found.loads
        if leads_nowhere(pages, page, address)
    ]
    assert broken == []


def test_pages_load_nothing_from_elsewhere(pages):
    outside = {
        (page.name, address)
        for page, found in pages.items()
        for address in found.loads
        if urlsplit(address).netloc
    }
    assert outside == set()


def test_each_public_name_is_in_the_reference(site):
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    described = {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}
    rooms = [room.name for room in pkgutil.iter_modules(lcb.__path__, "keras_lcb.")]
    known = {
        id(thing)
        for name in described
        if name.startswith("keras_lcb") and (thing := lookup(name)) is not None
    }
    missing = [
        f"{room.__name__}.{name}"
        for room in map(importlib.import_module, ["keras_lcb", *rooms])
        for name in getattr(room, "__all__", ())
        if not inspect.ismodule(getattr(room, name)) and id(getattr(room, name)) not in known
    ]
    assert missing == []


def lookup(name):
    """The thing with a full name, if a module has it."""
    room, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(room), attribute, None)
    except (ImportError, ValueError):
        return None  # a member of a class, or the heading of a page
