#!/usr/bin/env python3
"""LangChain's binding of the official client in its cells of the SDK matrix: messages, chunks, metadata and exceptions
through the gateway are those of a direct call. It shows no bytes.

    sdk_langchain.py CLIENT…    names of clients of the table

See sdk_cells.py for what it needs and what it prints.
"""

import functools
import json
import os
import sys

os.environ["LANGSMITH_TRACING"] = "false"

try:
    import langchain_openai as binding
except ImportError:
    sys.exit("langchain-openai is missing: run `make setup`, or pip install -r tests/python/requirements.txt")

from sdk_cells import Table, comparable, run

MODELS = {
    "chat": (binding.ChatOpenAI, binding.AzureChatOpenAI, {"stream_usage": False}),
    "responses": (binding.ChatOpenAI, binding.AzureChatOpenAI, {"use_responses_api": True}),
    "completions": (binding.OpenAI, binding.AzureOpenAI, {"max_tokens": 6}),
    "embeddings": (binding.OpenAIEmbeddings, binding.AzureOpenAIEmbeddings,
                   # Counting tokens here would fetch a tokenizer's table from the network.
                   {"check_embedding_ctx_length": False, "dimensions": 8}),
}


@functools.lru_cache(maxsize=None)
def model_of(api, base, path, api_version, name, key, timeout_s):
    plain, azure, more = MODELS[api]
    options = {"api_key": key, "max_retries": 0, "timeout": timeout_s} | more
    if path:
        return plain(model=name, base_url=base + path, **options)
    # The binding says the deployment; the model's name beside it only for those who read metadata.
    return azure(azure_deployment=name, model=name, azure_endpoint=base, api_version=api_version, **options)


def shown(value):
    if hasattr(value, "model_dump"):
        return comparable(json.dumps(value.model_dump(mode="json"), ensure_ascii=False, sort_keys=True))
    return comparable(json.dumps(value, ensure_ascii=False))


def make(ask):
    client, params = ask.client, ask.call["params"]
    options = {"extra_headers": ask.headers}
    if ask.call["api"] == "chat":
        options["max_completion_tokens"] = params["max_completion_tokens"]
        options |= {"stream_usage": True} if "stream_options" in params else {}
    if ask.call["api"] == "completions" and "stream_options" in params:
        options["stream_options"] = params["stream_options"]

    def call(seen):
        model = model_of(ask.call["api"], ask.base, client["base"], client.get("api_version"), ask.model, ask.key,
                         ask.timeout_s)
        if ask.call["api"] == "embeddings":
            seen.pieces.append(shown(model.embed_documents(params["input"], **options)))
        elif ask.call["mode"] == "plain":
            seen.pieces.append(shown(model.invoke("Say something, please.", **options)))
        else:
            for chunk in model.stream("Say something, please.", **options):
                seen.pieces.append(shown(chunk))

    return call


if __name__ == "__main__":
    run(Table(sys.argv[1:]), make, lambda call: ["value"])
