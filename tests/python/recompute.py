#!/usr/bin/env python3
"""Money computed a second time, by other means: from a provider's truth and a price file alone, in fractions.

Reads the NDJSON that the simulator serves at /truth and a price CSV, prints the exact cost of every (key, model) as
JSON. It must share no code with the product and know nothing of its events, tables or reports.

    recompute.py TRUTH.ndjson PRICES.csv [--provider openai] [--tier default] [--keys KEYS.csv]

KEYS.csv has the columns `nonce,key`: who sent which request, from the client's own log. Without it the key is the
digest of the credential that the provider saw. An answer counts if it was finished whole with status 200; the others
are listed by how they ended. Unpriced counts are listed and never taken as 0.
"""

import argparse
import csv
import datetime
import json
import re
import sys
from collections import defaultdict
from fractions import Fraction

DATE_AT_END = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")
UNITS = ("input_text", "input_cached", "output_text", "output_reasoning")


def exact(amount):
    """A fraction whose denominator has no factor but 2 and 5, as a decimal with at least two places."""
    places = 0
    while (amount * 10**places).denominator != 1:
        places += 1
        if places > 60:
            raise ValueError(f"{amount} is not a finite decimal")
    places = max(places, 2)
    digits = str(abs(amount.numerator) * 10**places // amount.denominator).rjust(places + 1, "0")
    return f"{'-' if amount < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def instant_us(text):
    """A day (midnight UTC) or an instant with its offset, in microseconds since the epoch; None if empty."""
    if not text:
        return None
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        if len(text) != 10:
            raise ValueError(f"{text}: a time needs its offset")
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (moment - epoch) // datetime.timedelta(microseconds=1)


def read_prices(path, provider, tier):
    """All prices of a provider and tier: {name: [price]}; a name is the model with its version."""
    prices = defaultdict(list)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["provider"] != provider or row["service_tier"] != tier or row.get("region_class"):
                continue
            version = row.get("model_version") or ""
            prices[row["model"] + ("-" + version if version else "")].append({
                "unit": row["unit"],
                "over": int(row["context_over"]) if row.get("context_over") else None,
                "rate": Fraction(row["rate"]) / int(row["per"]),
                "currency": row["currency"],
                "from": instant_us(row.get("valid_from")),
                "to": instant_us(row.get("valid_to")),
                "undated": not version,
            })
    return prices


def rate_of(prices, model, unit, prompt_tokens, at):
    """(rate, currency), or None where there is no price."""
    own = prices.get(model)
    if own is None:
        stem = DATE_AT_END.sub("", model)
        own = prices.get(stem) if stem != model else None
        if own is None or not any(price["undated"] for price in own):
            return None
    if unit == "output_reasoning" and not any(price["unit"] == unit for price in own):
        unit = "output_text"
    begun = [price for price in own if price["from"] is None or price["from"] <= at]
    latest = {}
    for price in begun:
        slot = (price["unit"], price["over"])
        if slot not in latest or (price["from"] or 0) >= (latest[slot]["from"] or 0):
            latest[slot] = price
    held = {slot: price for slot, price in latest.items() if price["to"] is None or at < price["to"]}
    bounds = [over for _, over in held if over is not None and prompt_tokens > over]
    price = held.get((unit, max(bounds) if bounds else None))
    return (price["rate"], price["currency"]) if price else None


def counts_of(answer):
    """Disjoint counts: cached tokens lie inside the prompt, reasoning inside the completion."""
    prompt, completion = answer["prompt_tokens"], answer["completion_tokens"]
    cached, reasoning = answer["cached_tokens"], answer["reasoning_tokens"]
    counts = dict(zip(UNITS, (prompt - cached, cached, completion - reasoning, reasoning)))
    if min(counts.values()) < 0:
        raise ValueError(f"line {answer['seq']}: a part is larger than its whole")
    return counts


def read_truth(path):
    """(requests by line number, answers)"""
    requests, answers = {}, []
    with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line) if line.strip() else {}
            if record.get("kind") == "request":
                requests[record["seq"]] = record
            elif record.get("kind") == "answer":
                answers.append(record)
    return requests, answers


def read_keys(path):
    if path is None:
        return None
    with open(path, newline="", encoding="utf-8") as file:
        return {row["nonce"]: row["key"] for row in csv.DictReader(file)}


def recompute(requests, answers, prices, keys):
    groups, other_ends = {}, defaultdict(int)
    for answer in answers:
        if answer["end"] != "complete" or answer["status"] != 200:
            other_ends[f"{answer['end']}/{answer['status']}"] += 1
            continue
        key = answer["api_key_sha256_8"] if keys is None else keys[answer["nonce"]]
        group = groups.setdefault((key or "", answer["model"] or ""), {
            "answers": 0, "units": defaultdict(int), "cost": defaultdict(Fraction), "unpriced": defaultdict(int),
        })
        group["answers"] += 1
        at = requests[answer["request_seq"]]["received_us"]
        for unit, count in counts_of(answer).items():
            group["units"][unit] += count
            found = rate_of(prices, answer["model"], unit, answer["prompt_tokens"], at)
            if found is not None:
                group["cost"][found[1]] += count * found[0]
            elif count:
                group["unpriced"][unit] += count
    return groups, other_ends


def shown(groups, other_ends):
    lines, totals = [], {"answers": 0, "input_tokens": 0, "output_tokens": 0}
    total_cost = defaultdict(Fraction)
    for (key, model), group in sorted(groups.items()):
        units = group["units"]
        line = {
            "key": key,
            "model": model,
            "answers": group["answers"],
            "input_tokens": units["input_text"] + units["input_cached"],
            "output_tokens": units["output_text"] + units["output_reasoning"],
            "units": {unit: units[unit] for unit in UNITS},
            "cost": {currency: exact(amount) for currency, amount in sorted(group["cost"].items())},
            "unpriced": dict(sorted(group["unpriced"].items())),
        }
        lines.append(line)
        for name in totals:
            totals[name] += line[name]
        for currency, amount in group["cost"].items():
            total_cost[currency] += amount
    totals["cost"] = {currency: exact(amount) for currency, amount in sorted(total_cost.items())}
    totals["complete"] = not any(line["unpriced"] for line in lines)
    return {"lines": lines, "totals": totals, "other_ends": dict(sorted(other_ends.items()))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", help="NDJSON of the simulator's /truth; - reads standard input")
    parser.add_argument("prices", help="price file, .csv")
    parser.add_argument("--provider", default="openai", help="whose prices hold (default: openai)")
    parser.add_argument("--tier", default="default", help="which service tier (default: default)")
    parser.add_argument("--keys", help="CSV with columns nonce,key from the client's log")
    given = parser.parse_args()
    requests, answers = read_truth(given.truth)
    prices = read_prices(given.prices, given.provider, given.tier)
    groups, other_ends = recompute(requests, answers, prices, read_keys(given.keys))
    json.dump(shown(groups, other_ends), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
