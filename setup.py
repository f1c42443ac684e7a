"""Builds the kernels where a C++ compiler is at hand, and installs without them where none is.

A release must have them: with ALEXNET_RELEASE=1, or under cibuildwheel, a failed build is an error. ALEXNET_PURE=1
makes the wheel for all other machines, without kernels.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

IS_RELEASE = "1" in (os.environ.get("ALEXNET_RELEASE"), os.environ.get("CIBUILDWHEEL"))
IS_PURE = os.environ.get("ALEXNET_PURE") == "1"

if sys.platform == "win32":
    compile_flags, link_flags = ["/O2", "/std:c++17", "/openmp"], []
else:
    openmp = ["-fopenmp"] if sys.platform == "linux" else []
    compile_flags = ["-O3", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", *openmp]
    link_flags = openmp


class BuildKernels(build_ext):
    """Builds a library that is no module of Python: `alexnet/_native.so`, for every Python."""

    def get_ext_filename(self, name):
        """Returns the library's path in the package, without the version of Python."""
        return str(Path(*name.split(".")).with_suffix(".pyd" if sys.platform == "win32" else ".so"))

    def get_export_symbols(self, extension):
        """Returns nothing: there is no `PyInit__native` to export."""
        return []


class BuildPackage(build_py):
    """Puts the lecture's notebooks beside its page, which links them."""

    def run(self):
        """Copies the package, and `docs/lecture` into it."""
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib, "alexnet", "lecturing", "notebooks")
            self.mkpath(str(folder))
            for notebook in sorted(Path("docs", "lecture").glob("*.ipynb")):
                self.copy_file(str(notebook), str(folder))


class PlatformWheel(bdist_wheel):
    """Tags a wheel with kernels for every Python of this platform: `py3-none-<platform>`."""

    def get_tag(self):
        """Returns the tag, which is `py3-none-any` without kernels."""
        python, abi, platform = super().get_tag()
        return (python, abi, platform) if self.root_is_pure else ("py3", "none", platform)


kernels = Extension(
    "alexnet._native",
    ["src/alexnet/native/kernels.cpp"],
    depends=[
        f"src/alexnet/native/{name}.h"
        for name in ("storage", "power", "lrn", "augment", "taps", "resize", "dot", "pool")
    ],
    extra_compile_args=compile_flags,
    extra_link_args=link_flags,
    optional=not IS_RELEASE,
)
setup(
    ext_modules=[] if IS_PURE else [kernels],
    cmdclass={"build_py": BuildPackage, "build_ext": BuildKernels, "bdist_wheel": PlatformWheel},
)
