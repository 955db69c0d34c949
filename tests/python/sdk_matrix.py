#!/usr/bin/env python3
"""The official Python client in every cell of the SDK matrix: what it gives and raises through the gateway is what it gives
and raises when it calls the provider itself, byte for byte.

    sdk_matrix.py CLIENT…    names of clients of the table

See sdk_cells.py for what it needs and what it prints.
"""

import functools
import json
import sys

try:
    import openai
except ImportError:
    sys.exit("openai is missing: run `make setup`, or pip install -r tests/python/requirements.txt")

from sdk_cells import Table, comparable, head_of, run


@functools.lru_cache(maxsize=None)
def client_of(name, base, key):
    """One client for all threads, as an app would have it."""
    client = next(client for client in TABLE.clients if client["name"] == name)
    options = {"api_key": key, "max_retries": 0}
    if client["base"]:
        return openai.OpenAI(base_url=base + client["base"], **options)
    return openai.AzureOpenAI(azure_endpoint=base, api_version=client["api_version"], **options)


def parameters(ask):
    """The arguments of a call; a file is made of its name and length."""
    def value(of):
        if isinstance(of, dict) and "$file" in of:
            name, length = of["$file"]
            return name, bytes(index % 251 for index in range(length))
        return of

    params = {name: value(of) for name, of in ask.call["params"].items()}
    if ask.call["method"] == "models.retrieve":
        return {"model": ask.model} | params
    return params | ({"model": ask.model} if ask.model else {})


def shown(value):
    if hasattr(value, "model_dump"):
        return comparable(json.dumps(value.model_dump(mode="json"), ensure_ascii=False))
    if hasattr(value, "content"):
        return comparable(value.content.decode("latin-1"))
    return comparable(str(value))


def make(ask):
    *path, method = ask.call["method"].split(".")
    of = functools.reduce(getattr, path, client_of(ask.client["name"], ask.base, ask.key))
    options = parameters(ask) | {"extra_headers": ask.headers, "timeout": ask.timeout_s}

    def values(seen):
        answer = getattr(of, method)(**options)
        if isinstance(answer, openai.Stream):
            seen.request_id = answer.response.headers.get("x-request-id")
            for event in answer:
                seen.pieces.append(shown(event))
        else:
            seen.pieces.append(shown(answer))
            seen.request_id = getattr(answer, "_request_id", None)

    def raw(seen):
        with getattr(of.with_streaming_response, method)(**options) as response:
            seen.request_id = response.headers.get("x-request-id")
            seen.head = head_of(response.status_code, response.headers)
            came = b""
            try:
                for piece in response.iter_bytes():
                    came += piece
            except Exception as error:  # the HTTP library's own: how far it came is what counts
                seen.error = {"type": "a break", "text": type(error).__mro__[-3].__name__}
            seen.pieces.append(comparable(came.decode("latin-1")))

    return values if ask.kind == "value" else raw


if __name__ == "__main__":
    TABLE = Table(sys.argv[1:])
    run(TABLE, make, lambda call: ["value", "bytes"])
