#!/usr/bin/env python3
"""What a deployment costs a month, and which limit it meets first, at 10, 1,000 and 10,000 connected workspaces.

    infra/cost.py                     prints the tables
    infra/cost.py --size medium       for workspaces of 1,000 members and 1,500 repositories instead of 100 and 100
    infra/cost.py --check README.md   fails if the tables in there are others

Counts of calls and items are the measured ones of tests/bench/baseline.json; what people do, how long a call takes and AWS's prices are
assumptions, and stand below. Change them for your region and your customers.
"""

import argparse
import json
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKSPACES = (10, 1_000, 10_000)
MEMBERS = {"small": 100, "medium": 1_000}

# --- Assumptions ---------------------------------------------------------------------------------------------------------------

DAYS = 30.4
WORKDAYS = 21
TICKS = 96  # a day, every 15 minutes
SIGN_INS = 1.0  # of a member on a workday
REQUESTS_OF_SIGN_IN = 4  # login, callback, authorize, token
CHECKS = 30  # refreshes and introspections of a member on a workday
PEAK = 0.25  # of a day's sign-ins come in the busiest hour
EVENTS = 0.05  # of a member on a day
BITBUCKET_CALL = 0.15  # seconds
AT_ONCE = 8  # calls to Bitbucket
TABLE_TURN = 0.008  # seconds
LOG_BYTES = 700  # of a request or a run
ITEM_BYTES = 300  # a row, on average

# --- Prices: US East (N. Virginia), in dollars, as published in 2025, without free tiers -----------------------------------------

GB_SECOND = 0.0000133334  # Lambda on arm64
INVOCATION = 0.20e-6
HTTP_REQUEST = 1.00e-6  # HTTP API
WRITE_UNIT, READ_UNIT, TABLE_GB = 0.625e-6, 0.125e-6, 0.25 + 0.20  # DynamoDB on demand; storage with point-in-time recovery
QUEUE_REQUEST = 0.40e-6
SCHEDULED = 1.00e-6
PIPE_REQUEST, BUS_EVENT = 0.40e-6, 1.00e-6
LOG_GB = 0.50
SECRET, SECRET_CALL = 0.40, 0.05e-4
ALARMS, METRICS, DASHBOARD = 9 * 0.10, 12 * 0.30, 3.00
MEMORY_GB = 0.5

# --- Limits ---------------------------------------------------------------------------------------------------------------------

CALLS_OF_A_CREDENTIAL = 1_000  # an hour, at Bitbucket; 4 % are kept back
RUNS_AT_ONCE = 50  # MaximumConcurrency of the queue's mapping in template.yaml
LAMBDA_AT_ONCE = 1_000  # an account's default
PARTITION_READS = 3_000  # units a second
SECRET_CALLS = 10_000  # a second


def counts(size):
    calls = json.loads((ROOT / "tests/bench/baseline.json").read_text())["calls"]
    return {name.removeprefix(f"{size}: "): counted for name, counted in calls.items() if name.startswith(f"{size}: ")}


def read_units(counted):
    # Strongly consistent: a unit for every 4 KB of a query, and at least one for a call.
    return max(counted["reads"], counted["items read"] * ITEM_BYTES / 4_096)


def seconds_of_run(counted):
    return counted["calls to Bitbucket"] / AT_ONCE * BITBUCKET_CALL + (counted["reads"] + counted["writes"]) * TABLE_TURN


class Month:
    """A month of a deployment."""

    def __init__(self, workspaces, size):
        measured = counts(size)
        tick, day = measured["unchanged run, every 15 minutes"], measured["unchanged run of a new day"]
        sign_in = measured["sign-in, compared with the lap's"]
        members = workspaces * MEMBERS[size]
        self.workspaces, self.size = workspaces, size
        self.runs = workspaces * TICKS * DAYS
        self.sign_ins = members * SIGN_INS * WORKDAYS
        self.checks = members * CHECKS * WORKDAYS
        self.requests = self.sign_ins * REQUESTS_OF_SIGN_IN + self.checks
        self.events = members * EVENTS * DAYS
        # Beside what every tick reads, a day has the structure and the grants of one lap at most.
        self.run_seconds = workspaces * DAYS * (TICKS * seconds_of_run(tick) + seconds_of_run(day))
        self.request_seconds = self.sign_ins * 0.6 + self.requests * 0.03
        self.reads = self.runs * read_units(tick) + self.sign_ins * read_units(sign_in) + self.checks * 3
        # A transaction costs two units for each item.
        self.writes = self.runs * tick["items written"] * 2 + self.sign_ins * sign_in["items written"] * 2 + self.checks
        self.stored = members * 6 * ITEM_BYTES * 4 + self.events * 600
        self.longest_run = seconds_of_run(day)
        self.run = seconds_of_run(tick)
        self.calls_an_hour = 4 * tick["calls to Bitbucket"] + day["calls to Bitbucket"] / 24
        self.sign_in_calls = sign_in["calls to Bitbucket"]
        self.peak_sign_ins = members * SIGN_INS * PEAK

    def costs(self):
        invocations = self.runs + self.requests + TICKS * DAYS
        return {
            "Lambda": invocations * INVOCATION + (self.run_seconds + self.request_seconds) * MEMORY_GB * GB_SECOND,
            "HTTP API": self.requests * HTTP_REQUEST,
            "DynamoDB": self.writes * WRITE_UNIT + self.reads * READ_UNIT + self.stored / 1e9 * TABLE_GB,
            "SQS, Scheduler, Pipes, EventBridge": self.runs * 3 * QUEUE_REQUEST
            + TICKS * DAYS * SCHEDULED
            + self.events * (PIPE_REQUEST + BUS_EVENT),
            "Logs, metrics, alarms": invocations * LOG_BYTES / 1e9 * LOG_GB + ALARMS + METRICS + DASHBOARD,
            "Secrets Manager": SECRET + invocations / 500 * SECRET_CALL,
        }

    def limits(self):
        """How much of each limit is used, the fullest first."""
        usable = CALLS_OF_A_CREDENTIAL * 0.96
        tick_reads = self.workspaces * 2_000 / 4_096
        used = {
            "sign-ins through one Bitbucket consumer, in the busiest hour": self.peak_sign_ins * self.sign_in_calls / usable,
            "Bitbucket's calls of one workspace's credential": self.calls_an_hour / CALLS_OF_A_CREDENTIAL,
            "runs at once, to be through within a tick": self.workspaces * self.run / (RUNS_AT_ONCE * 900),
            "Lambda's concurrency": (self.request_seconds / (WORKDAYS * 4 * 3_600) + self.workspaces * self.run / 900) / LAMBDA_AT_ONCE,
            "reads of the partition of connections, at a tick of 10 s": tick_reads / 10 / PARTITION_READS,
            "Secrets Manager's calls": self.requests / (WORKDAYS * 8 * 3_600) / 500 / SECRET_CALLS,
        }
        return sorted(used.items(), key=lambda entry: -entry[1])


def money(dollars):
    return f"{dollars:,.2f} $" if dollars < 100 else f"{dollars:,.0f} $"


def share(part):
    if part > 1:
        return f"**{part:,.1f} ×**" if part < 10 else f"**{part:,.0f} ×**"
    return f"{part:.0%}" if part >= 0.01 else "< 1 %"


def table(heading, rows):
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def told(size):
    months = [Month(workspaces, size) for workspaces in WORKSPACES]
    heading = [f"{workspaces:,} workspaces" for workspaces in WORKSPACES]
    costs = [month.costs() for month in months]
    rows = [[name, *(money(cost[name]) for cost in costs)] for name in costs[0]]
    rows.append(["**a month**", *(f"**{money(sum(cost.values()))}**" for cost in costs)])
    used = [dict(month.limits()) for month in months]
    limits = [[name, *(share(part[name]) for part in used)] for name, _ in months[-1].limits()]
    return table(["costs", *heading], rows), table(["of each limit is used", *heading], limits), months


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=MEMBERS, default="small")
    parser.add_argument("--check", metavar="FILE")
    given = parser.parse_args()
    costs, limits, months = told(given.size)
    if given.check:
        text = pathlib.Path(given.check).read_text()
        if costs not in text or limits not in text:
            print(f"{given.check} has other tables than this program prints: run infra/cost.py and put them there", file=sys.stderr)
            return 1
        print(f"{given.check} has the tables of infra/cost.py")
        return 0
    print(costs)
    print()
    print(limits)
    print()
    for month in months:
        name, part = month.limits()[0]
        need = f"; {math.ceil(part)} times as much of it is needed" if part > 1 else ""
        print(f"{month.workspaces:,} workspaces meet first: {name} ({part:.1%}){need}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
