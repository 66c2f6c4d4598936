"""Writes seeds into fuzz/corpus: the statements of the guard's corpora (tests/guard/*.sql), envelopes, cursors and queries."""

import json
import pathlib
import re
import uuid

here = pathlib.Path(__file__).parent
ID = "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b"
# That of src/store/cursor.rs.
NAMESPACE = uuid.UUID(int=0x2C1B7A0E5F3D4C8A9D610E7B48F2A935)


def write(target: str, seeds: dict[str, str]) -> None:
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in seeds.items():
        (folder / name).write_text(text, encoding="utf-8")


def statements() -> dict[str, str]:
    seeds = {}
    for corpus in sorted((here.parent / "tests" / "guard").glob("*.sql")):
        for number, entry in enumerate(re.split(r"^=== .*\n", corpus.read_text(encoding="utf-8"), flags=re.M)[1:]):
            statement = re.sub(r"<U\+(\w+)>", lambda code: chr(int(code[1], 16)), entry.strip("\n"))
            seeds[f"{corpus.stem}-{number:03}"] = statement
    return seeds


def envelopes() -> dict[str, str]:
    wakes = [{"revision": 1}, {"revision": 0, "repair": True}, {"revision": 9}, {"revision": 1, "rows": {"query": 1, "lost": 0, "polls": 0}}]
    seeds = {"capture": (here.parent / "tests" / "host" / "envelope.json").read_text(encoding="utf-8")}
    for number, wake in enumerate(wakes):
        data = json.dumps({"conversation_id": ID, **wake})
        for times in range(3):
            envelope = {"Data": {"wake": json.loads(data) if times == 0 else data}, "Metadata": {"DequeueCount": "2"}}
            seeds[f"wake-{number}-{times}"] = json.dumps(envelope)
            data = data if times == 0 else json.dumps(data)
    return seeds


def cursors() -> dict[str, str]:
    def cursor(millis: int) -> str:
        place = f"{millis:016x}{ID.replace('-', '')}"
        return place + uuid.uuid5(NAMESPACE, place).hex[:8]

    return {f"{millis}": cursor(millis) for millis in (0, 1_795_000_000_123, (1 << 64) - 5)}


def parameters() -> dict[str, str]:
    cursor = cursors()["1795000000123"]
    requests = [
        f"h\nuser_id=u&device_id=d&limit=50&cursor={cursor}",
        "h\nuser_id=%C3%A9+x&limit=100",
        "h\nlimit=101",
        's\nwait=1&after=0\nW/"1", "2"\nwait=3, respond-async',
        "s\nafter=9007199254740991\n*",
        "s\nwait=60",
        "e\nafter=1",
        "w\nafter=1",
        "r\nformat=csv",
        "m\n",
        "api/health\n",
        "api/chat/start\n",
        "api/assets/licenses.md\n",
    ]
    return {f"{number:02}": request for number, request in enumerate(requests)}


write("guard", statements())
write("envelope", envelopes())
write("cursor", cursors())
write("parameters", parameters())
