"""Builds the kernels where a C++ compiler is at hand, and installs without them where none is."""

import sys

from setuptools import Extension, setup

if sys.platform == "win32":
    compile_flags, link_flags = ["/O2", "/std:c++17", "/openmp"], []
else:
    openmp = ["-fopenmp"] if sys.platform == "linux" else []
    compile_flags = ["-O3", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", *openmp]
    link_flags = openmp

setup(
    ext_modules=[
        Extension(
            "alexnet._native",
            ["src/alexnet/native/kernels.cpp"],
            depends=[f"src/alexnet/native/{name}.h" for name in ("storage", "lrn", "augment", "dot")],
            extra_compile_args=compile_flags,
            extra_link_args=link_flags,
            optional=True,
        )
    ]
)
