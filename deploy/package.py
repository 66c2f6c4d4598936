"""Makes the zip that Azure runs: the handler, host.json and the functions' folders, and nothing else.

python3 deploy/package.py BINARY ZIP GLIBC

Refuses a binary that asks for a later glibc than GLIBC, that does not start, or a zip of 15 MiB or more. Equal inputs make an equal
zip: entries are sorted, and bear the date at which zip files begin.
"""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 15 * 1024 * 1024


def glibc(binary: Path) -> tuple[int, ...]:
    """The latest version of glibc that a symbol of `binary` asks for."""
    symbols = subprocess.run(["readelf", "--version-info", "--wide", binary], check=True, capture_output=True, text=True).stdout
    versions = re.findall(r"GLIBC_([0-9.]+)", symbols)
    if not versions:
        sys.exit(f"{binary}: no symbol of glibc found: is it a program for Linux with glibc?")
    return max(tuple(map(int, version.split("."))) for version in versions)


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    """An entry as Unix makes it: without that, the host could not run the handler."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def main(binary: Path, package: Path, floor: str) -> None:
    wanted = glibc(binary)
    if wanted > tuple(map(int, floor.split("."))):
        sys.exit(f"{binary} asks for glibc {'.'.join(map(str, wanted))}, which is later than {floor}")
    version = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    host = json.loads((ROOT / "host.json").read_text())
    handler = host["customHandler"]["description"]["defaultExecutablePath"]
    files = [ROOT / "host.json", *ROOT.glob("*/function.json")]
    contents = {file.relative_to(ROOT).as_posix(): (file.read_bytes(), 0o644) for file in files}
    contents[handler] = (binary.read_bytes(), 0o755)

    package.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(package, "w", compresslevel=9) as archive:
        for name, (content, mode) in sorted(contents.items()):
            archive.writestr(entry(name, mode), content, compresslevel=9)
    size = package.stat().st_size
    if size >= LIMIT:
        package.unlink()
        sys.exit(f"{package} has {size} bytes: the limit is {LIMIT}")
    print(f"{package}: {size / 1024 / 1024:.1f} MiB, {len(contents)} files, {version}, glibc {'.'.join(map(str, wanted))} or later")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]), sys.argv[3])
