"""What the Python scripts of the SDK matrix share: reading the table, comparing what two calls saw, running all cells at
once, and a line of JSON for each call through the gateway. Which client is called, and how, must not live here.

From the test that runs the scripts: TOLLGATE_MATRIX, the table; TOLLGATE_GATEWAY and TOLLGATE_PROVIDER, URLs without a
path; TOLLGATE_API_KEY.
"""

import json
import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

# Most cells wait: for a limit of the gateway's, or for the end of their own patience.
CELLS_AT_ONCE = 192
# Longer than any limit of the gateway's, so that only who is to lose patience loses it.
PATIENCE_S = 60.0

# Providers count their ids up and look at the clock, so these differ from call to call. Nothing else may.
IDS = re.compile(r"\b(chatcmpl-|cmpl-|resp_|msg_|rs_|ws_|ig_|modr-|img-|(?:lc_)?run-)[0-9A-Za-z-]*")
TIMES = re.compile(r'("created(?:_at)?": ?)[0-9.]*')
# Names of this one answer, and how it was sent. Azure's last three are not passed on: headers pass by a list.
OWN_HEADERS = {
    "date", "x-request-id", "openai-processing-ms", "connection", "transfer-encoding",
    "apim-request-id", "x-ms-region", "x-content-type-options",
}


def environment(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set; it comes from the test that runs this file")
    return value


GATEWAY, PROVIDER = environment("TOLLGATE_GATEWAY"), environment("TOLLGATE_PROVIDER")
API_KEY = environment("TOLLGATE_API_KEY")


@dataclass
class Seen:
    """What a caller saw: pieces (events, or the one answer, or bytes as text), the error, and the head where it shows."""

    pieces: list = field(default_factory=list)
    error: dict | None = None
    head: dict | None = None
    request_id: str | None = None
    kinds: list = field(default_factory=list, repr=False)


def comparable(text):
    return TIMES.sub(r"\g<1>0", IDS.sub(r"\1#", text))


def head_of(status, headers):
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in OWN_HEADERS}
    if "event-stream" in kept.get("content-type", ""):
        kept.pop("content-length", None)  # usage may be taken out of a stream on its way
    return {"status": status, "headers": kept}


def error_of(error):
    """Everything that an exception of the SDK shows."""
    shown = {"type": type(error).__name__, "text": comparable(str(error))}
    response = getattr(error, "response", None)
    if response is not None:
        shown |= {name: getattr(error, name, None) for name in ("status_code", "body", "code", "param")}
        shown["type_of_error"] = getattr(error, "type", None)
        shown["head"] = head_of(response.status_code, response.headers)
    return shown


def watch(call, seen):
    """Runs a call and keeps what it raises."""
    try:
        call(seen)
    except Exception as error:  # whatever the SDK raises is what its user sees
        seen.error = error_of(error)
        seen.kinds = [kind.__name__ for kind in type(error).__mro__]
        seen.request_id = seen.request_id or getattr(error, "request_id", None)
    return seen


def begins(one, other):
    """Whether one of two lists of pieces is the beginning of the other, the last piece in part."""
    ours, theirs = "".join(one), "".join(other)
    return ours.startswith(theirs) or theirs.startswith(ours)


def has_come(ends, direct):
    """Whether the direct call came to the end that its case is about: two that fail alike for another reason prove nothing."""
    error = direct.error
    if ends == "whole":
        return error is None and "".join(direct.pieces) != ""
    if ends == "broken":
        return error is not None and ("APIConnectionError" in direct.kinds or error["type"] == "a break")
    return error is not None and error.get("status_code") == ends


def fault(case, call, through, direct):
    """Why a cell is not as it should be; None where it is."""
    sees = case["sees"]
    if isinstance(sees, dict):
        error = through.error or {}
        found = (sees["error"] in through.kinds, error.get("status_code"), error.get("code"))
        return None if found == (True, sees["status"], sees["code"]) else f"wanted {sees}, saw {through}"
    if not has_come(case["ends"], direct):
        return f"the direct call did not end as ordered: {direct}"
    if call.get("own"):
        return None if through.error is None and names_within(through, direct) else f"{through}\n{direct}"
    same_pieces = begins(through.pieces, direct.pieces) if sees == "prefix" else through.pieces == direct.pieces
    same = same_pieces and through.error == direct.error
    # Before its patience ends a call may have seen no head.
    same = same and (through.head == direct.head or sees == "prefix" and None in (through.head, direct.head))
    return None if same else f"\n  through {through}\n  direct  {direct}"


def names_within(through, direct):
    ours, theirs = (set(re.findall(r'"id": ?"([^"]+)"', "".join(seen.pieces))) for seen in (through, direct))
    return bool(ours) and ours <= theirs


class Table:
    """The table of cells, as far as it is about some clients."""

    def __init__(self, clients):
        with open(environment("TOLLGATE_MATRIX"), encoding="utf-8") as file:
            self.all = json.load(file)
        self.clients = [client for client in self.all["clients"] if client["name"] in clients]
        if len(self.clients) != len(clients):
            sys.exit(f"the table knows only some of the clients {clients}")

    def excused(self, client, call, case):
        def covers(rule):
            return (client["name"] in rule.get("clients", [client["name"]])
                    and call["api"] in rule.get("apis", [call["api"]])
                    and call["name"] in rule.get("calls", [call["name"]])
                    and case["name"] in rule.get("cases", [case["name"]]))
        return any(covers(rule) for rule in self.all["not_run"])

    def cells(self):
        """All that are to be run, the ones that wait first."""
        cells = [(client, call, case) for client in self.clients for call in self.all["calls"]
                 for case in self.all["cases"] if not self.excused(client, call, case)]
        return sorted(cells, key=lambda cell: "stall" not in cell[2]["order"])


@dataclass
class Ask:
    """One call to be made, for a script to make it."""

    client: dict
    call: dict
    model: str | None
    key: str
    base: str
    headers: dict
    timeout_s: float
    kind: str


def ask(cell, kind, base, number):
    client, call, case = cell
    order = ",".join(part for part in (call["order"], case["order"]) if part)
    nonce = f"{client['name']}/{number}/{kind}".replace(" ", "-")
    model = call["model"] and client["prefix"] + case.get("model", call["model"])
    return nonce, Ask(
        client=client, call=call, model=model, base=base, kind=kind,
        key="tg-nobody" if base == GATEWAY and case.get("key") else API_KEY,
        headers={"x-client-request-id": nonce, "x-stainless-sim": order},
        timeout_s=case.get("patience_ms", PATIENCE_S * 1000) / 1000,
    )


def run(table, make, kinds):
    """Makes every call twice, through the gateway and directly, and prints a line of JSON for the former."""
    lock = threading.Lock()

    def cell_of(numbered):
        number, cell = numbered
        client, call, case = cell
        compared = not isinstance(case["sees"], dict)
        for kind in kinds(call) if compared and not call.get("own") else ["value"]:
            nonce, through = ask(cell, kind, GATEWAY, number)
            direct = watch(make(ask(cell, kind, PROVIDER, number)[1]), Seen()) if compared else None
            seen = watch(make(through), Seen())
            line = {"client": client["name"], "call": call["name"], "case": case["name"], "kind": kind, "nonce": nonce,
                    "model": through.model, "request_id": seen.request_id, "fault": fault(case, call, seen, direct)}
            with lock:
                print(json.dumps(line), flush=True)

    # The first call of each kind makes the SDK's types, which takes longer than some cells' patience if all do it at once.
    for client in table.clients:
        for call in table.all["calls"]:
            if not table.excused(client, call, table.all["cases"][0]):
                watch(make(ask((client, call, table.all["cases"][0]), "value", PROVIDER, "first")[1]), Seen())

    with ThreadPoolExecutor(CELLS_AT_ONCE) as pool:
        list(pool.map(cell_of, enumerate(table.cells())))
