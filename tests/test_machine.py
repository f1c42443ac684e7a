"""What this process may use of the machine, and in which numbers it computes."""

import math

import pytest
import torch

from alexnet import machine

GIB = 1 << 30


@pytest.fixture
def pretend(monkeypatch):
    """A function that pretends a machine of 16 GiB and 8 cores, limited by a container's control files."""

    def machine_of(processes=1, **control):
        monkeypatch.setattr(machine, "_main_memory", lambda entry: 16 * GIB)
        monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
        monkeypatch.setattr(machine, "_control", lambda name: control.get(name.replace(".", "_"), ""))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))

    return machine_of


def test_without_a_container_all_is_there(pretend):
    pretend()
    assert (machine.free_host_memory(), machine.cores()) == (16 * GIB, 8)
    pretend(memory_max="max", memory_current="5", cpu_max="max 100000")
    assert (machine.free_host_memory(), machine.cores()) == (16 * GIB, 8)


def test_a_container_leaves_what_it_says_and_what_it_only_caches(pretend):
    stat = f"anon {2 * GIB}\ninactive_file {GIB}\n"
    pretend(memory_max=str(4 * GIB), memory_current=str(3 * GIB), memory_stat=stat, cpu_max="150000 100000")
    assert (machine.free_host_memory(), machine.cores()) == (2 * GIB, 2)


def test_processes_of_one_machine_share_its_memory(pretend):
    pretend(processes=4)
    assert machine.free_host_memory() == 4 * GIB


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU decides for itself")
@pytest.mark.parametrize(
    ("processor", "is_built_in", "x86", "arm", "expected"),
    [
        ("x86_64", True, True, False, True),
        ("x86_64", True, False, True, False),  # AVX-512 alone is enough for oneDNN, which then emulates
        ("aarch64", True, False, True, True),
        ("arm64", False, False, None, False),  # Apple's, whose PyTorch lacks the question too
    ],
)
def test_bf16_is_taken_where_there_are_instructions(monkeypatch, processor, is_built_in, x86, arm, expected):
    monkeypatch.setattr(machine.platform, "machine", lambda: processor)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: is_built_in)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: x86)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: arm)
    assert machine.has_bf16() is expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU decides for itself")
@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_a_torch_without_the_questions_computes_in_float32(monkeypatch, processor):
    monkeypatch.setattr(machine.platform, "machine", lambda: processor)
    for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, question)
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    machine.has_tiles.cache_clear()
    assert machine.dtype("auto") == torch.float32
    assert not machine.has_tiles()
    machine.has_tiles.cache_clear()


def test_the_peak_of_memory_is_a_number():
    from alexnet.benches.train import peak_bytes

    assert math.isnan(peak_bytes()) or peak_bytes() > 1e7


def test_the_facts_are_known_without_measuring():
    facts = machine.facts()
    assert facts.cores >= 1
    assert facts.cpu
    assert facts.torch == torch.__version__
