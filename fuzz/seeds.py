"""Writes the statements of the guard's corpora (tests/guard/*.sql) as seed files into fuzz/corpus/guard."""

import pathlib
import re

here = pathlib.Path(__file__).parent
target = here / "corpus" / "guard"
target.mkdir(parents=True, exist_ok=True)
for corpus in sorted((here.parent / "tests" / "guard").glob("*.sql")):
    for number, entry in enumerate(re.split(r"^=== .*\n", corpus.read_text(encoding="utf-8"), flags=re.M)[1:]):
        statement = re.sub(r"<U\+(\w+)>", lambda code: chr(int(code[1], 16)), entry.strip("\n"))
        (target / f"{corpus.stem}-{number:03}").write_text(statement, encoding="utf-8")
