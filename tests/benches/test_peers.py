import pytest
import torch

from alexnet.benches import train
from alexnet.models.create import create


@pytest.fixture
def images():
    return 60 * torch.randn(2, 3, 67, 67, generator=torch.Generator().manual_seed(0))


def test_the_plain_network_computes_what_ours_does(images):
    model = create("alexnet-two-tower", input_size=67, dropout=0).eval()
    plain = train.two_tower(67).eval()
    with torch.no_grad():
        for theirs, ours in zip(plain.parameters(), model.parameters(), strict=True):
            theirs.copy_(ours)
        assert torch.allclose(plain(images), model(images), atol=1e-5)


def test_the_simplified_network_has_the_parameters_of_ours():
    ours = create("one-weird-trick", initialisation="none")
    theirs = train.torchvision_style(224)
    assert [p.shape for p in theirs.parameters()] == [p.shape for p in ours.parameters()]
