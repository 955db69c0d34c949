#!/usr/bin/env python3
"""Replays a trace of token counts through the official client: a prompt of exactly so many tokens for each row, and an
answer of exactly so many.

It knows a base URL and API keys, nothing else of the product. Half of the calls are streamed, half of those ask for
usage. Whatever the client is told (usage, pieces of a stream, finish reason) is checked against the row.

    replay.py TRACE.csv --base-url URL --keys KEYS.csv --models NAME,NAME --log OUT.csv [--concurrency 16]

TRACE.csv has the columns `ContextTokens,GeneratedTokens` among others; KEYS.csv has `key,secret`: the name and the secret.
OUT.csv gets a line a call, `nonce,key,model,stream,prompt,completion`, as `recompute.py --keys` reads it.
Exit code 0 if every call gave what its row says.
"""

import argparse
import csv
import secrets
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

try:
    import openai
except ImportError:
    sys.exit("openai is missing: run `make setup`, or pip install -r tests/python/requirements.txt")

# Each is one token of o200k_base with the blank before it, wherever it stands; every answer's usage is held against that.
WORDS = (" the", " of", " and", " to", " in", " is", " for", " on", " that", " by", " with", " this", " from", " or", " at", " we")
SHOWN_ERRORS = 10


def prompt_of(tokens):
    """A text of exactly so many tokens, made without a tokenizer."""
    whole, rest = divmod(tokens, len(WORDS))
    return "".join(WORDS) * whole + "".join(WORDS[:rest])


class Wrong(Exception):
    """The answer is not what the row says."""


def expect(what, found, wanted):
    if found != wanted:
        raise Wrong(f"{what} is {found}, not {wanted}")


def check_usage(usage, prompt, completion):
    expect("prompt_tokens", usage.prompt_tokens, prompt)
    expect("completion_tokens", usage.completion_tokens, completion)


def arguments(call):
    return {
        "model": call["model"],
        "messages": [{"role": "user", "content": prompt_of(call["prompt"])}],
        "max_completion_tokens": call["completion"],
        "metadata": {"nonce": call["nonce"]},
    }


def plain(client, call):
    answer = client.chat.completions.create(**arguments(call))
    check_usage(answer.usage, call["prompt"], call["completion"])
    expect("finish_reason", answer.choices[0].finish_reason, "length")


def streamed(client, call):
    options = {"stream_options": {"include_usage": True}} if call["asks_usage"] else {}
    pieces, finish, usages = 0, None, []
    for chunk in client.chat.completions.create(stream=True, **options, **arguments(call)):
        for choice in chunk.choices:
            pieces += bool(choice.delta.content)
            finish = choice.finish_reason or finish
        if chunk.usage is not None:
            usages.append(chunk.usage)
    expect("pieces of the stream", pieces, call["completion"])
    expect("finish_reason", finish, "length")
    expect("usage chunks", len(usages), int(call["asks_usage"]))
    for usage in usages:
        check_usage(usage, call["prompt"], call["completion"])


def read_calls(path, keys, models):
    run = secrets.token_hex(4)
    with open(path, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            # Each key meets each model, and each of these streamed and not, with and without usage.
            turn = number // len(keys)
            yield {
                "nonce": f"{run}-{number}",
                "key": keys[number % len(keys)],
                "model": models[turn // 4 % len(models)],
                "stream": turn % 2 == 1,
                "asks_usage": turn % 4 == 1,
                "prompt": int(row["ContextTokens"]),
                "completion": int(row["GeneratedTokens"]),
            }


class Progress:
    """A line that is rewritten on a terminal, and written now and then elsewhere."""

    def __init__(self, total):
        self.total, self.done, self.tokens, self.errors = total, 0, 0, 0
        self.started, self.last = time.monotonic(), 0.0
        self.lock = threading.Lock()

    def advance(self, tokens, failed):
        with self.lock:
            self.done += 1
            self.tokens += tokens
            self.errors += failed
            now, tty = time.monotonic(), sys.stderr.isatty()
            if self.done == self.total or now - self.last > (0.2 if tty else 10):
                self.last = now
                rate = self.done / max(now - self.started, 1e-9)
                end = "\r" if tty and self.done < self.total else "\n"
                line = f"replay: {self.done}/{self.total} calls, {self.tokens} tokens, {rate:.0f} calls/s, {self.errors} wrong"
                print(line, file=sys.stderr, end=end, flush=True)


def replay(calls, clients, concurrency, log):
    progress, wrong = Progress(len(calls)), []

    def one(call):
        failed = None
        try:
            (streamed if call["stream"] else plain)(clients[call["key"]], call)
        except (openai.OpenAIError, Wrong) as error:
            failed = f"{call['nonce']}: {type(error).__name__}: {error}"
        progress.advance(call["prompt"] + call["completion"], failed is not None)
        return failed

    with ThreadPoolExecutor(concurrency) as pool:
        running = set()
        for call in calls:
            log.writerow(call)
            running.add(pool.submit(one, call))
            if len(running) >= 4 * concurrency:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                wrong.extend(filter(None, (done.result() for done in finished)))
        wrong.extend(filter(None, (done.result() for done in running)))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("--base-url", required=True, help="up to and with /v1")
    parser.add_argument("--keys", required=True, help="CSV with columns key,secret")
    parser.add_argument("--models", required=True, help="names, with commas between")
    parser.add_argument("--log", required=True, help="CSV to write: who sent what")
    parser.add_argument("--concurrency", type=int, default=16)
    given = parser.parse_args()
    models = given.models.split(",")
    with open(given.keys, newline="", encoding="utf-8") as file:
        held = {row["key"]: row["secret"] for row in csv.DictReader(file)}
    calls = list(read_calls(given.trace, list(held), models))
    if not calls:
        sys.exit(f"{given.trace} has no rows")
    clients = {key: openai.OpenAI(base_url=given.base_url, api_key=secret, max_retries=0, timeout=300) for key, secret in held.items()}
    with open(given.log, "w", newline="", encoding="utf-8") as file:
        columns = ["nonce", "key", "model", "stream", "prompt", "completion"]
        log = csv.DictWriter(file, columns, extrasaction="ignore")
        log.writeheader()
        wrong = replay(calls, clients, given.concurrency, log)
    for line in wrong[:SHOWN_ERRORS]:
        print(f"replay: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
