"""The page of explanations: each picture beside its maps, and what the checks say of each."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from alexnet.errors import BadImage
from alexnet.explaining.explain import Drawn
from alexnet.pages.page import Page, Section, draw

NAMES = {"occlusion": "Occlusion", "gradcam": "Grad-CAM", "gradient": "Gradient"}

METHODS = {
    "occlusion": "Occlusion: a square covers one place after another; where the class suffers most, it is (Zeiler and "
    "Fergus 2014).",
    "gradcam": "Grad-CAM: the maps of the last convolution, each weighed by its slope (Selvaraju et al. 2017).",
    "gradient": "Gradient: how strongly the class changes with each pixel (Simonyan et al. 2014).",
}

COLOURS = (
    "Colour stands for what speaks for the class, from violet to yellow. A map is drawn of the evidence for the class, "
    "its logarithmic odds, with dropout off and through the exact derivative of the normalisation."
)
CHECKS = (
    "Two checks stand beside every map. A map that shows the network must change when the network's weights are "
    "shuffled, from the last layer down (Adebayo et al. 2018): its rank correlation with the maps of such networks "
    "must not be above 0.5 on average. And deleting what it marks must cost the class more than deleting pixels at "
    "random."
)


def explanation_page(network: str, results: Sequence[Drawn | BadImage]) -> Page:
    """Returns the page of what `explain` yielded."""
    drawn = [result for result in results if isinstance(result, Drawn)]
    unread = tuple(str(result) for result in results if isinstance(result, BadImage))
    pictures = [(image, list(of_image)) for image, of_image in groupby(drawn, lambda one: one.explanation.image)]
    methods = dict.fromkeys(one.explanation.method for one in drawn)
    return Page(
        title=f"{network}: where it looks",
        eyebrow="AlexNet · where it looks",
        heading=network,
        headline=Markup(),
        facts={},
        notices=unread,
        sections=(
            Section("maps", "Where it looks", "", draw("explained.html", pictures=pictures, names=NAMES)),
            Section("methods", "How the maps are drawn, and checked", "", _methods(list(methods))),
        ),
    )


def _methods(methods: Sequence[str]) -> Markup:
    return draw("prose.html", paragraphs=[*(METHODS[method] for method in methods), COLOURS, CHECKS])
