#!/usr/bin/env python3
"""Waits until the ledger holds what was sent, and says what it holds, through the official client as the read-only user.

    ledger.py DATA_DIR --events N [--seconds 120]

Prints JSON: rows of `audit_log` that are events, their distinct ids, dead letters, events in the set. Exit code 1 if
they do not come in time.
"""

import argparse
import json
import pathlib
import sys
import time
from urllib.parse import urlsplit

try:
    import clickhouse_connect
except ImportError:
    sys.exit("clickhouse-connect is missing: run `make setup`, or pip install -r tests/python/requirements.txt")

LOG = "SELECT countIf(fate = 'event'), uniqExactIf(event_id, fate = 'event'), countIf(fate = 'dead_letter') FROM tollgate.audit_log"
SET = "SELECT count() FROM tollgate.usage_events FINAL"


def connect(data_dir):
    """The running engine says where it is; the reader's password lies beside it."""
    url = urlsplit(json.loads((data_dir / "run/engine.json").read_text())["url"])
    password = (data_dir / "secrets/engine-reader").read_text().strip()
    return clickhouse_connect.get_client(host=url.hostname, port=url.port, username="reader", password=password)


def held(client):
    events, distinct, dead_letters = client.query(LOG).first_row
    in_set = client.query(SET).first_row[0]
    return {"audit_events": events, "audit_event_ids": distinct, "dead_letters": dead_letters, "usage_events": in_set}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=pathlib.Path)
    parser.add_argument("--events", type=int, required=True, help="how many requests were sent")
    parser.add_argument("--seconds", type=float, default=120, help="how long to wait for them")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    client = connect(given.data_dir)
    found = held(client)
    while found["usage_events"] < given.events and time.monotonic() < until:
        time.sleep(0.2)
        found = held(client)
    json.dump(found, sys.stdout)
    print()
    sys.exit(0 if found["usage_events"] >= given.events else 1)


if __name__ == "__main__":
    main()
