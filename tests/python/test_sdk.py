#!/usr/bin/env python3
"""The official client of the API, pointed at the gateway: what it returns, what it raises, and that a stream is what the
provider sends.

Needs, from the test that runs this file: TOLLGATE_BASE_URL and TOLLGATE_API_KEY of a gateway whose provider is the
simulator at TOLLGATE_PROVIDER_URL (both URLs with /v1), TOLLGATE_MODELS that the key may use, and TOLLGATE_FORBIDDEN_MODEL
that it may not. It starts nothing.
"""

import os
import sys
import unittest
import uuid

try:
    import openai
except ImportError:
    sys.exit("openai is missing: run `make setup`, or pip install -r tests/python/requirements.txt")


def environment(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set; it comes from the test that runs this file")
    return value


BASE_URL = environment("TOLLGATE_BASE_URL")
PROVIDER_URL = environment("TOLLGATE_PROVIDER_URL")
API_KEY = environment("TOLLGATE_API_KEY")
MODELS = environment("TOLLGATE_MODELS").split(",")
FORBIDDEN = environment("TOLLGATE_FORBIDDEN_MODEL")


def client(base_url=BASE_URL, api_key=API_KEY, retries=0):
    return openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=retries, timeout=60)


def ask(of, order="", nonce=None, **options):
    return of.chat.completions.create(**{
        "model": MODELS[0],
        "messages": [{"role": "user", "content": "Say something, please."}],
        "max_completion_tokens": 7,
        "metadata": {"nonce": nonce or str(uuid.uuid4()), "sim": order},
        **options,
    })


def chunks(stream):
    """Everything that a client sees of a stream, without what differs from call to call."""
    seen = []
    for chunk in stream:
        shown = chunk.model_dump()
        shown.pop("id"), shown.pop("created")
        seen.append(shown)
    return seen


class Answers(unittest.TestCase):
    def setUp(self):
        self.gateway, self.provider = client(), client(PROVIDER_URL)

    def test_plain(self):
        answer = ask(self.gateway)
        self.assertEqual(answer.usage.completion_tokens, 7)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + 7)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertTrue(answer.choices[0].message.content)
        self.assertTrue(answer._request_id.startswith("req_"), answer._request_id)

    def test_each_answer_has_an_id_of_its_own(self):
        ids = {ask(self.gateway)._request_id for _ in range(5)}
        self.assertEqual(len(ids), 5)

    def test_stream_is_what_the_provider_sends(self):
        for options in ({}, {"stream_options": {"include_usage": True}}, {"stream_options": {"include_usage": False}}, {"n": 2}):
            for order in ("", "crlf", "ping=2", "tokens_per_chunk=3", "no_done", "no_stream_usage", "no_usage", "write_bytes=1"):
                nonce = str(uuid.uuid4())
                ours = chunks(ask(self.gateway, order, nonce, stream=True, **options))
                theirs = chunks(ask(self.provider, order, nonce, stream=True, **options))
                self.assertEqual(ours, theirs, f"{options} {order}")
                self.assertTrue(ours)

    def test_usage_comes_only_to_whoever_asks(self):
        asked = chunks(ask(self.gateway, stream=True, stream_options={"include_usage": True}))
        self.assertEqual(asked[-1]["usage"]["completion_tokens"], 7)
        self.assertEqual(asked[-1]["choices"], [])
        unasked = chunks(ask(self.gateway, stream=True))
        self.assertEqual([chunk["usage"] for chunk in unasked], [None] * len(unasked))
        self.assertTrue(all(chunk["choices"] for chunk in unasked))

    def test_with_raw_response_shows_the_providers_limits_and_our_id(self):
        raw = self.gateway.chat.completions.with_raw_response.create(
            model=MODELS[0], messages=[{"role": "user", "content": "hello"}]
        )
        self.assertTrue(raw.headers["x-request-id"].startswith("req_"))
        self.assertIn("x-ratelimit-remaining-tokens", raw.headers)
        self.assertEqual(raw.parse().usage.prompt_tokens, raw.parse().usage.total_tokens - raw.parse().usage.completion_tokens)

    def test_models(self):
        listed = self.gateway.models.list()
        self.assertEqual(sorted(model.id for model in listed), sorted(MODELS))

    def test_key_in_the_other_header(self):
        answer = ask(client(api_key="unused"), extra_headers={"Authorization": openai.Omit(), "api-key": API_KEY})
        self.assertEqual(answer.usage.completion_tokens, 7)


class Errors(unittest.TestCase):
    def raised(self, kind, status, code, call):
        with self.assertRaises(kind) as caught:
            call()
        error = caught.exception
        self.assertIs(type(error), kind)
        self.assertEqual((error.status_code, error.code), (status, code), error)
        self.assertTrue(error.request_id.startswith("req_"), error.request_id)
        self.assertNotIn(API_KEY, str(error))

    def test_wrong_key(self):
        self.raised(openai.AuthenticationError, 401, "invalid_api_key", lambda: ask(client(api_key="tg-nobody")))
        self.raised(openai.AuthenticationError, 401, "invalid_api_key", lambda: client(api_key="tg-nobody").models.list())

    def test_model(self):
        self.raised(openai.NotFoundError, 404, "model_not_found", lambda: ask(client(), model="gpt-nowhere"))
        self.raised(openai.PermissionDeniedError, 403, "model_not_allowed", lambda: ask(client(), model=FORBIDDEN))

    def test_body(self):
        self.raised(openai.BadRequestError, 400, "invalid_type", lambda: ask(client(), extra_body={"stream": "yes"}))
        self.raised(openai.BadRequestError, 400, "missing_required_parameter", lambda: ask(client(), messages=None))

    def test_path_without_a_meter(self):
        self.raised(
            openai.NotFoundError, 404, "unsupported_unmetered",
            lambda: client().post("/rerank", body={"query": "hello"}, cast_to=object),
        )
        self.raised(openai.BadRequestError, 400, "unsupported_unmetered", lambda: client().files.list())
        self.raised(openai.BadRequestError, 400, "unsupported_unmetered", lambda: client().responses.retrieve("resp_1"))

    def test_what_the_provider_says(self):
        for status, kind in ((400, openai.BadRequestError), (404, openai.NotFoundError), (429, openai.RateLimitError),
                             (500, openai.InternalServerError), (503, openai.InternalServerError)):
            for stream in (False, True):
                with self.assertRaises(kind) as ours:
                    ask(client(), f"status={status}", stream=stream)
                with self.assertRaises(kind) as theirs:
                    ask(client(PROVIDER_URL), f"status={status}", stream=stream)
                self.assertEqual(ours.exception.status_code, status)
                self.assertEqual(ours.exception.body, theirs.exception.body)
                self.assertTrue(ours.exception.request_id.startswith("req_"))

    def test_retries_follow_the_providers_wait(self):
        with self.assertRaises(openai.RateLimitError) as caught:
            ask(client(retries=1), "status=429,retry_after=10")
        self.assertEqual(caught.exception.response.headers["retry-after-ms"], "10")

    def test_error_event_in_a_stream(self):
        with self.assertRaises(openai.APIError):
            for _ in ask(client(), "error_event=2", stream=True):
                pass

    def test_stream_that_breaks_off(self):
        for base_url in (BASE_URL, PROVIDER_URL):
            seen = []
            with self.assertRaises(openai.APIConnectionError):
                for chunk in ask(client(base_url), "reset_mid=2", stream=True):
                    seen.append(chunk)
            self.assertTrue(seen, "what came before the break is seen")


if __name__ == "__main__":
    unittest.main()
