"""The page of a search: rows as in figure 4 (right) of the paper, a query and then its neighbours."""

from collections.abc import Sequence

from markupsafe import Markup

from alexnet.errors import BadImage
from alexnet.pages.page import Page, Section, draw
from alexnet.searching.index import Index
from alexnet.searching.search import Query

LEAD = "Each row begins with a picture that was looked for; its neighbours follow, the nearest first."
ABOUT = (
    "The distance is that of Euclid between what {layer} of the network gives on two pictures, as in the paper's "
    "section 6.1: small where the network sees the same things in both. A picture of the index itself is not quite at "
    "0, since the index is made of packed pictures, which are compressed again."
)


def neighbour_page(index: Index, results: Sequence[Query | BadImage]) -> Page:
    """Returns the page of what `search` yielded."""
    contents = index.contents
    body = draw("neighbours.html", rows=[each for each in results if isinstance(each, Query)], index=index)
    about = Markup('<div class="prose"><p>{}</p></div>').format(ABOUT.format(layer=contents.layer))
    return Page(
        title=f"{index.path.name}: alike",
        eyebrow="AlexNet · alike",
        heading=index.path.name,
        headline=Markup(),
        facts={"pictures": f"{len(index):,}", "network": contents.network, "layer": contents.layer},
        notices=tuple(str(each) for each in results if isinstance(each, BadImage)),
        sections=(Section("alike", "Most alike", LEAD, body), Section("distance", "The distance", "", about)),
    )
