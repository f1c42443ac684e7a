"""The lecture of the network in the package, written once, and its page in Chromium."""

import pytest

import alexnet
from alexnet.lecturing.server import serving
from alexnet.lecturing.site import write_site


@pytest.fixture(scope="session")
def classifier():
    return alexnet.load("tiny-imagenet", numbers="float32")


@pytest.fixture(scope="session")
def site(classifier, tmp_path_factory):
    """The folder of the lecture; only to be read."""
    folder = tmp_path_factory.mktemp("lecture") / "site"
    write_site(folder, "tiny-imagenet", classifier)
    return folder


@pytest.fixture(scope="module")
def open_site(chromium):
    """A function that opens an address, and gives the page once its network has answered."""
    pages = []

    def show(address, width=1280, listener=None):
        page = chromium.new_page(viewport={"width": width, "height": 800}, reduced_motion="reduce")
        pages.append(page)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        if listener:
            page.on("request", listener)
        page.goto(address)
        page.wait_for_selector("body[data-answered]", timeout=60_000)
        return page

    yield show
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def served(site):
    with serving(site) as address:
        yield address


@pytest.fixture(scope="module")
def page(served, open_site):
    """The page, to be asked; tests leave it as they found it, or do not mind."""
    return open_site(served)
