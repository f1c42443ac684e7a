"""A page: one HTML file that needs nothing beside itself, filled in by templates that escape whatever they show."""

from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alexnet.data.labels import in_words
from alexnet.pages import markup


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading, that the navigation leads to; one with an empty body is left out of the page."""

    key: str  # its identifier in links; capitalised, its name in the navigation
    title: str
    lead: str  # a sentence below the heading, or ""
    body: Markup


@dataclass(frozen=True)
class Page:
    """What a page shows, from top to bottom."""

    title: str  # of the browser's window
    eyebrow: str | Markup  # a line above the heading: what kind of page this is
    heading: str | Markup
    headline: Markup  # the answer, in large letters
    facts: dict[str, str]  # a few key facts: name -> value
    notices: tuple[str, ...]  # sentences that a reader must not miss
    sections: tuple[Section, ...]

    def render(self) -> str:
        """Returns the file's contents."""
        return draw("page.html", page=self)


def draw(template: str, **values: object) -> Markup:
    """Returns a template with values filled in; all but `Markup` is escaped, and cut off after 200 characters."""
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alexnet.pages"),
        autoescape=True,
        finalize=markup.escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        *(markup.chance, markup.data_uri, markup.name, markup.percent, markup.pixels, markup.plural, markup.whole),
        markup.width,
    )
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters |= {"upto": markup.escape, "in_words": in_words}
    return environment
