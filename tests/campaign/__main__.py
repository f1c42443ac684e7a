"""Tries to break what docs/reliability.md promises: kills, full disks, flipped bits, mutated pictures, fuzzed readers.

    python tests/campaign --part kills --scale 0.1 --seed 3 --out /tmp/campaign

It writes `campaign.json` and `campaign.md` after every part, and ends with 1 where there is a fault.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "data", "foreign", "fuzz"))

import disks
import kills
import rest
import world
from world import Tally

from alexnet import machine

PARTS = {
    "kills": kills.kills,
    "disks": disks.disks,
    "flips": rest.flips,
    "pictures": rest.pictures,
    "memory": rest.memory,
    "fuzz": rest.fuzz,
}
MINUTES = {"kills": 12, "disks": 20, "flips": 4, "pictures": 4, "memory": 4, "fuzz": 16}
"""The share of the hour after which a part begins nothing new; what it has tried until then counts."""


def main() -> None:
    """Runs the parts that were named, or all."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__.split("\n")[0])
    parser.add_argument("--part", default=",".join(PARTS), help=f"parts, joined by commas: {', '.join(PARTS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the whole campaign, which takes an hour")
    parser.add_argument("--hours", type=float, default=1.0, help="time that all parts share")
    parser.add_argument("--seed", type=int, default=0, help="of all random moments and changes")
    parser.add_argument("--out", type=Path, default=Path("runs/campaign"), help="folder of the summary")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tallies: list[Tally] = []
    for part in options.part.split(","):
        print(part, flush=True)
        tallies += _apart(part, options)
        _write(tallies, options)
    faults = [fault for tally in tallies for fault in tally.faults]
    print((options.out / "campaign.md").read_text())
    sys.exit(1 if faults else 0)


def _apart(part: str, options: argparse.Namespace) -> list[Tally]:
    """Runs a part in a process of its own, in a folder that is removed; `disks` in its own mount namespace."""
    with tempfile.TemporaryDirectory(prefix=f"campaign-{part}-") as scratch:
        (folder := Path(scratch, "work")).mkdir()
        note = Path(scratch, "tallies.json")
        words = [sys.executable, __file__, "run", part, str(options.scale), str(options.seed), str(folder), str(note)]
        environment = {**os.environ, "CAMPAIGN_UNTIL": str(time.time() + options.hours * 60 * MINUTES[part])}
        if part == "disks" and shutil.which("unshare") and not subprocess.run(["unshare", "-rm", "true"]).returncode:
            environment["CAMPAIGN_DISK"] = str(folder)
            mount = f'mount -t tmpfs -o size={disks.ROOM} tmpfs {folder} && exec "$@"'
            words = ["unshare", "-rm", "sh", "-c", mount, "sh", *words]
        started = time.monotonic()
        code = subprocess.run(words, env=environment).returncode
        whole = json.loads(note.read_text()) if note.exists() else []
        tallies = [Tally(**{**entry, "verdicts": Counter(entry["verdicts"])}) for entry in whole]
        if code:
            tallies.append(Tally(part, "the part itself", faults=[f"the part ended with {code}"]))
        for tally in tallies[:1]:
            tally.seconds = round(time.monotonic() - started, 1)
        return tallies


def run_part(part: str, scale: str, seed: str, folder: str, note: str) -> None:
    """Runs one part here and writes what it counted."""
    world.prepare()
    tallies = []
    for tally in PARTS[part](int(seed), float(scale), Path(folder)):
        tallies.append(tally.as_json())
        Path(note).write_text(json.dumps(tallies))
        print(f"  {tally.part}: {dict(tally.verdicts)}", flush=True)


def _write(tallies: list[Tally], options: argparse.Namespace) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip(),
        "machine": f"{machine.facts().cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "scale": options.scale,
        "seed": options.seed,
    }
    whole = {**facts, "parts": [tally.as_json() for tally in tallies]}
    (options.out / "campaign.json").write_text(json.dumps(whole, indent=1) + "\n")
    lines = [f"{name}: {value}  " for name, value in facts.items()]
    lines += ["", "| part | tried | faults | figures |", "|---|---|---:|---|"]
    for tally in tallies:
        tried = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(tally.verdicts.items()))
        tried = "; ".join(filter(None, (tried, tally.left_out)))
        figures = ", ".join(f"{name} {value:,.0f}" for name, value in tally.figures.items())
        lines.append(f"| {tally.part} | {tried} | {len(tally.faults)} | {figures} |")
    lines += ["", *(f"- {fault}" for tally in tallies for fault in tally.faults)]
    (options.out / "campaign.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run_part(*sys.argv[2:])
    else:
        main()
