"""Sphinx's settings for the documentation site, which `make docs` builds; its pages open without a server."""

import sys
from collections.abc import Callable
from pathlib import Path

import latex2mathml.converter
from docutils.nodes import Element, SkipNode
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

sys.path.insert(0, str(Path(__file__).parent))

import generated

import alexnet

project = "alexnet"
version = release = alexnet.__version__
author = copyright = "the maintainers of alexnet"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "alexnet"
html_copy_source = False
templates_path: list[str] = []

nb_execution_mode = "off"  # the notebooks are stored with their outputs, and a test executes them
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True
napoleon_google_docstring = True

generated.write(Path(__file__).parent / "reference" / "generated")


def setup(app: Sphinx) -> None:
    """Has equations drawn as MathML, which browsers know; Sphinx's own way fetches MathJax from elsewhere."""

    def draw(display: str) -> Callable[[HTML5Translator, Element], None]:
        def visit(translator: HTML5Translator, node: Element) -> None:
            translator.body.append(latex2mathml.converter.convert(node.astext(), display=display))
            raise SkipNode

        return visit

    app.add_html_math_renderer("mathml", (draw("inline"), None), (draw("block"), None))
