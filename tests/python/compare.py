#!/usr/bin/env python3
"""Holds the product's report against the provider's truth: tokens to the token, money to the last digit.

    compare.py --trace TRACE.csv --log CLIENT.csv --recomputed RECOMPUTED.json --report REPORT.json --ledger LEDGER.json

REPORT.json is made `--by tenant,project,key,model`; RECOMPUTED.json comes from recompute.py, LEDGER.json from ledger.py.
Prints a table and PASS or FAIL with every difference. It must not mend anything: no rounding, no tolerance.
"""

import argparse
import csv
import json
import re
import sys
from collections import defaultdict
from fractions import Fraction

DATE_AT_END = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")
FIGURES = ("answers", "input_tokens", "output_tokens")


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def of_client(log):
    """What the client asked for, by key and model."""
    sums = defaultdict(lambda: [0, 0, 0])
    for row in log:
        for at, amount in enumerate((1, int(row["prompt"]), int(row["completion"]))):
            sums[row["key"], row["model"]][at] += amount
    return dict(sums)


def of_truth(recomputed):
    return {
        (line["key"], line["model"]): ([line[name] for name in FIGURES], money(line["cost"]))
        for line in recomputed["lines"]
    }


def of_report(report):
    """The report's rows; it shows the name that was served, the client asked for the undated one."""
    rows = {}
    for row in report["rows"]:
        tenant, project, key, served = row["columns"]
        pair = (key, DATE_AT_END.sub("", served))
        if pair in rows:
            raise ValueError(f"two rows for {pair}")
        figures = [row["charged_requests"], row["input_tokens"], row["output_tokens"]]
        rows[pair] = (figures, amounts(row), tenant, project)
    return rows


def amounts(figures):
    return money({amount["currency"]: amount["cost"] for amount in figures["amounts"]})


def money(costs):
    return {currency: Fraction(text) for currency, text in costs.items()}


def shown(cost):
    """A finite decimal without trailing zeros."""
    parts = []
    for currency, amount in sorted(cost.items()):
        places = 0
        while (amount * 10**places).denominator != 1:
            places += 1
        digits = str(int(amount * 10**places)).rjust(places + 1, "0")
        parts.append(f"{digits[:len(digits) - places]}{'.' if places else ''}{digits[len(digits) - places:]} {currency}")
    return ", ".join(parts)


def table(report):
    header = ("tenant", "project", "key", "model", "calls", "input", "output", "cost")
    lines = [header]
    for (key, model), (figures, cost, tenant, project) in sorted(report.items(), key=lambda item: (item[1][2:], item[0])):
        lines.append((tenant, project, key, model, *map(str, figures), shown(cost)))
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    for line in lines:
        print("  ".join(text.rjust(width) if at >= 4 else text.ljust(width) for at, (text, width) in enumerate(zip(line, widths))))


def differences(trace, client, truth, report, given):
    """Every claim that does not hold, as a sentence."""
    rows = len(trace)
    tokens = [rows, sum(int(row["ContextTokens"]) for row in trace), sum(int(row["GeneratedTokens"]) for row in trace)]
    recomputed, made, ledger = given["recomputed"], given["report"], given["ledger"]
    totals = made["totals"]
    for pair in sorted(client.keys() | truth.keys() | report.keys()):
        asked, told, found = client.get(pair), truth.get(pair), report.get(pair)
        if not (asked and told and found):
            yield f"{pair} is missing in one of client, truth, report"
        elif not asked == told[0] == found[0]:
            yield f"{pair}: client {asked}, truth {told[0]}, report {found[0]}"
        elif told[1] != found[1] or not told[1]:
            yield f"{pair}: recomputed {shown(told[1])}, report {shown(found[1])}"
    claims = [
        ("trace and truth", tokens, [recomputed["totals"][name] for name in FIGURES]),
        ("trace and report", tokens, [totals["charged_requests"], totals["input_tokens"], totals["output_tokens"]]),
        ("money of truth and report", money(recomputed["totals"]["cost"]), amounts(totals)),
        ("requests of the report", rows, totals["requests"]),
        ("other ends in the truth", {}, recomputed["other_ends"]),
        ("nothing unpriced", (True, True), (recomputed["totals"]["complete"], totals["complete"])),
        ("estimated and flawed", (0, 0), (totals["estimated_requests"], totals["flawed_requests"])),
        ("synthetic left out", 0, made["synthetic_requests_left_out"]),
        ("ledger", {"audit_events": rows, "audit_event_ids": rows, "dead_letters": 0, "usage_events": rows}, ledger),
    ]
    for what, wanted, found in claims:
        if wanted != found:
            yield f"{what}: {wanted} and {found}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("trace", "log", "recomputed", "report", "ledger"):
        parser.add_argument(f"--{name}", required=True)
    paths = vars(parser.parse_args())
    given = {name: read_json(paths[name]) for name in ("recomputed", "report", "ledger")}
    trace, client = read_rows(paths["trace"]), of_client(read_rows(paths["log"]))
    report = of_report(given["report"])
    table(report)
    wrong = list(differences(trace, client, of_truth(given["recomputed"]), report, given))
    totals = given["report"]["totals"]
    print(
        f"{totals['requests']} calls, {totals['input_tokens']} input and {totals['output_tokens']} output tokens,"
        f" {shown(amounts(totals))}; report hash {given['report']['report_hash']}"
    )
    for line in wrong:
        print(f"differs: {line}")
    print("FAIL" if wrong else "PASS")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
