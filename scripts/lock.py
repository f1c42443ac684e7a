"""Prints what pip would install here, each package with its hash; `make lock` writes `requirements-ci.txt` so."""

import json
import subprocess
import sys

REPORT = "-m pip install --dry-run --ignore-installed --quiet --report - --constraint constraints.txt"
HEAD = "# What CI installs on CPython 3.11, Linux, x86-64, with the CPU build of torch; written by `make lock`."

if __name__ == "__main__":
    command = [sys.executable, *REPORT.split(), *sys.argv[1:]]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {
        f"{package['metadata']['name'].lower().replace('_', '-')}=={package['metadata']['version']}": package[
            "download_info"
        ]
        for package in report["install"]
    }
    hashes = {
        name: info["archive_info"]["hashes"]["sha256"] for name, info in packages.items() if "dir_info" not in info
    }
    print(HEAD, *(f"{name} --hash=sha256:{sha}" for name, sha in sorted(hashes.items())), sep="\n")
