#!/usr/bin/env python3
"""Bills computed a second time, by other means: from usage records and a price book alone, in fractions.

    rate.py EVENTS.ndjson PRICES.csv

Prints one JSON object: for every `tenant provider` the exact cost by currency, the units without a price, and the number of
charged requests. It shares no code with the product; what it does is what docs/billing.md says.
"""

import csv
import datetime
import json
import re
import sys
from collections import defaultdict
from fractions import Fraction

INPUT = {
    "input_text", "input_cached", "input_cached_audio", "input_cached_image", "cache_write_5m", "cache_write_30m",
    "cache_write_1h", "cache_write", "input_audio", "input_image", "input_video", "input_tool_use",
}
OUTPUT = {"output_text", "output_reasoning", "output_audio", "output_image"}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def micros(text, empty):
    if not text:
        return empty
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def decimal(amount):
    places = 0
    while (amount * 10**places).denominator != 1:
        places += 1
    places = max(places, 2)
    digits = str(amount.numerator * 10**places // amount.denominator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def days_of(text):
    days = set()
    for part in text.split():
        first, _, last = part.partition("-")
        days.update(range(WEEK.index(first), WEEK.index(last or first) + 1))
    return days


def clock(text):
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


class Book:
    def __init__(self, path):
        self.prices = defaultdict(list)
        self.aliases = defaultdict(list)
        self.uplifts = defaultdict(list)
        self.hours = []
        self.holidays = []
        self.cache = {}
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                self.take(row)
        for timelines in (self.prices, self.aliases, self.uplifts):
            for timeline in timelines.values():
                timeline.sort(key=lambda item: item[0])

    def take(self, row):
        start, end = micros(row["valid_from"], -(10**18)), micros(row["valid_to"], 10**18)
        name = row["model"] + ("-" + row["model_version"] if row["model_version"] else "")
        who = row["provider"]
        kind = row["kind"] or "price"
        if kind == "price":
            over = int(row["context_over"]) if row["context_over"] else -1
            key = (who, name, row["unit"], row["service_tier"], row["speed"], row["capacity"], row["region_class"],
                   row["region"], row["geography"], over, row["hours"])
            rate = Fraction(row["rate"]) / int(row["per"])
            self.prices[key].append((start, end, rate, row["currency"], row["model_version"] == ""))
        elif kind == "alias":
            self.aliases[who, row["model"]].append((start, end, row["alias_of"]))
        elif kind == "uplift":
            key = (who, name, row["unit"], row["region_class"], row["geography"])
            self.uplifts[key].append((start, end, Fraction(row["rate"])))
        elif kind == "hours":
            self.hours.append((who, row["hours"], start, end, days_of(row["days"]), row["hours_utc"].split()))
        else:
            self.holidays.append((who, row["hours"], start, end))

    @staticmethod
    def now(timeline, at):
        """The last to have begun, if it has not ended: an item is replaced where the next begins."""
        begun = [item for item in timeline if item[0] <= at]
        return begun[-1] if begun and at < begun[-1][1] else None

    def band_of_day(self, who, at):
        moment = EPOCH + datetime.timedelta(microseconds=at)
        minute = moment.hour * 60 + moment.minute
        otherwise, known = None, False
        for owner, name, start, end, days, spans in self.hours:
            if owner != who or not start <= at < end:
                continue
            if spans == ["otherwise"]:
                otherwise = name
                continue
            known = True
            off = any(o == who and n == name and s <= at < e for o, n, s, e in self.holidays)
            inside = any(clock(s.split("-")[0]) <= minute < clock(s.split("-")[1]) for s in spans)
            if not off and inside and moment.weekday() in days:
                return name
        return otherwise if known else None

    def keys_of(self, who, name):
        if (who, name) not in self.cache:
            self.cache[who, name] = [key for key in self.prices if key[:2] == (who, name)]
        return self.cache[who, name]

    def name_of(self, who, served, at):
        if served == "*":
            return None
        if self.keys_of(who, served):
            return served
        if (who, served) in self.aliases:
            alias = self.now(self.aliases[who, served], at)
            return alias[2] if alias else None
        stem = re.fullmatch(r"(.+)-\d{4}-\d{2}-\d{2}", served, re.DOTALL)
        if stem and any(item[4] for key in self.keys_of(who, stem[1]) for item in self.prices[key]):
            return stem[1]
        return None

    def rate(self, who, served, unit, tier, speed, capacity, place, context, at):
        for name in (self.name_of(who, served, at), "*"):
            found = name and self.rate_of_name(who, name, unit, tier, speed, capacity, place, context, at)
            if found:
                return found
        return None

    def rate_of_name(self, who, name, unit, tier, speed, capacity, place, context, at):
        zone, region, geography = place
        keys = self.keys_of(who, name)
        if unit == "output_reasoning" and not any(key[2] == unit for key in keys):
            unit = "output_text"
        if not any(key[6] for key in keys):
            zone, moved_zone = "", "" if zone in ("", "global") else zone
        else:
            moved_zone = ""
        region = region if any(key[6] == zone and key[7] == region for key in keys) else ""
        moved_geography = "" if any(key[8] == geography for key in keys) else geography
        if moved_geography:
            geography = ""
        bands = [key[9] for key in keys if 0 <= key[9] < context and self.now(self.prices[key], at)]
        band = max(bands, default=-1)
        for hours in {"", self.band_of_day(who, at) or ""}:
            key = (who, name, unit, tier, speed, capacity, zone, region, geography, band, hours)
            price = self.now(self.prices[key], at) if key in self.prices else None
            if price is None:
                continue
            if not moved_zone and not moved_geography:
                return price[2], price[3]
            units = [unit] + (["tokens"] if unit in INPUT | OUTPUT else [])
            for key in [(who, n, u, moved_zone, moved_geography) for n in (name, "*") for u in units]:
                if key in self.uplifts:
                    uplift = self.now(self.uplifts[key], at)
                    return (price[2] * uplift[2], price[3]) if uplift else None
        return None


def charge(event, book, bills):
    bill = bills[event["tenant"] + " " + (event["provider"] or "")]
    refused = event["outcome"].startswith("refused_") or event["outcome"] == "unknown"
    if refused or event["billable"] != "yes" or event["synthetic"]:
        return
    bill["requests"] += event["count"]
    lines = event["lines"]
    contexts = defaultdict(int)
    for line in lines:
        contexts[line["model"]] += sum(n for unit, n in line["units"].items() if unit in INPUT)
    common = {"data_zone": "datazone", "zone": "datazone", "region": "regional"}
    zone = event["data_zone"] or ""
    for line in lines:
        tier = {None: "default", "": "default", "standard": "default", "fast": "priority"}.get(
            line["service_tier"], line["service_tier"])
        if (event["provider"], tier) in {("openai", "auto"), ("azure", "auto"), ("groq", "auto"), ("groq", "on_demand")}:
            tier = "default"
        speed = "" if line["speed"] in (None, "standard", "default") else line["speed"]
        geography = "" if line["geography"] in (None, "global", "not_available") else line["geography"]
        capacity = "" if event["capacity"] in (None, "paygo") else event["capacity"]
        place = (common.get(zone, zone), event["region"] or "", geography)
        for unit, count in line["units"].items():
            if count == 0:
                continue
            found = book.rate(event["provider"] or "", line["model"], unit, tier, speed, capacity, place,
                              contexts[line["model"]], event["received_us"])
            if found is None:
                bill["unpriced"][unit] += count
            else:
                bill["cost"][found[1]] += found[0] * count


def main():
    bills = defaultdict(lambda: {"requests": 0, "cost": defaultdict(Fraction), "unpriced": defaultdict(int)})
    book = Book(sys.argv[2])
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            charge(json.loads(line), book, bills)
    shown = {}
    for name, bill in sorted(bills.items()):
        cost = {currency: decimal(amount) for currency, amount in sorted(bill["cost"].items())}
        shown[name] = {"requests": bill["requests"], "cost": cost, "unpriced": dict(sorted(bill["unpriced"].items()))}
    json.dump(shown, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
