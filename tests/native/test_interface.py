"""What Python believes of the kernels is what their C++ says: names, order and types."""

import ctypes
import re
from pathlib import Path

import pytest

from alexnet import native
from alexnet.data.augment import CROP
from alexnet.native import interface

FOLDER = Path(native.__file__).parent
SOURCE = (FOLDER / "kernels.cpp").read_text()
HEADERS = "".join(header.read_text() for header in sorted(FOLDER.glob("*.h")))
TYPES = {"int": ctypes.c_int, "int64_t": ctypes.c_int64, "double": ctypes.c_double, "void": None}
PROTOTYPES = interface.PROTOTYPES


def parse(text, name):
    """(result, {argument: type}) of a C function, from its definition."""
    (found,) = re.finditer(rf"(\w+) {name}\(([^)]*)\) \{{", text)
    declarations = [declaration.rpartition(" ") for declaration in re.split(r",\s*", found[2])]
    arguments = {name: ctypes.c_void_p if "*" in kind else TYPES[kind] for kind, _, name in declarations}
    return TYPES[found[1]], arguments


def test_the_library_has_these_functions_and_no_more():
    assert set(re.findall(r"API \w+ (alexnet_\w+)\(", SOURCE)) == {prototype.name for prototype in PROTOTYPES}


@pytest.mark.parametrize("prototype", PROTOTYPES, ids=lambda prototype: prototype.name)
def test_a_function_takes_in_cpp_what_python_hands_it(prototype):
    for text, name in ((SOURCE, prototype.name), (HEADERS, prototype.name.removeprefix("alexnet_"))):
        result, arguments = parse(text, name)
        assert result == prototype.result
        assert list(arguments.items()) == list(prototype.arguments.items())
    (handed_on,) = re.findall(rf"DISPATCH\({prototype.name.removeprefix('alexnet_')}\(([^)]*)\)\)", SOURCE)
    assert handed_on.split(", ") == list(prototype.arguments)


def test_a_crop_is_laid_out_in_cpp_as_in_python():
    (body,) = re.findall(r"struct Crop \{(.*?)\};", HEADERS, re.DOTALL)
    fields = re.findall(r"^\s*(\w+) ([\w, ]+);", body, re.MULTILINE)
    types = {"float": "<f4", "int32_t": "<i4"}
    expected = [(name, types[kind]) for kind, names in fields for name in names.split(", ")]
    assert CROP.newbyteorder("<").descr == expected


def test_the_storage_types_are_numbered_as_in_cpp():
    (comment,) = re.findall(r"dtype: ([^.]*)\.", HEADERS)
    numbers = {name: int(number) for number, name in re.findall(r"(\d) (\w+)", comment)}
    assert all(numbers[str(dtype).removeprefix("torch.")] == number for dtype, number in native.DTYPES.items())


def test_a_kernel_refuses_an_argument_it_does_not_have():
    kernels = native.library()
    if kernels is None:
        pytest.skip("the kernels are not built")
    with pytest.raises(TypeError):
        kernels.dot8(weights=0)
