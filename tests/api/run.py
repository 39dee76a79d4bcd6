"""Starts Rollcall on this machine and holds the admin API against its own description.

openapi-spec-validator reads the description; Schemathesis asks every operation what the description allows and what it does not, with
and without a credential, and looks at each answer. Exit status 1: something was found.

    python tests/api/run.py PROGRAM     PROGRAM is a built rollcall-local
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = Path(sys.executable).parent
# Cases of each operation at random, and chains of requests: numbers and no times, so that a slow machine asks what a fast one asks.
FUZZING = 25
STATEFUL = 40
# Seconds for each of the passes, of which the slowest takes about one minute. Nothing that hangs holds up the rest.
PATIENCE = 240


class Api:
    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def send(self, method: str, path: str, body: object = None) -> dict:
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


def start(program: str, log: Path) -> tuple[subprocess.Popen, Api]:
    """Starts the stack on free ports, and waits until its story is told: there is something to ask for then."""
    # Everything comes from one address.
    environment = os.environ | {"ROLLCALL_SIGN_IN_RATE": "10000", "NO_COLOR": "1", "ROLLCALL_LOG": "error"}
    with log.open("wb") as out:
        stack = subprocess.Popen([program, "--listen", "127.0.0.1:0"], stdout=out, stderr=out, env=environment)
    ends = time.monotonic() + 120
    while stack.poll() is None and time.monotonic() < ends:
        told = re.search(r"export ROLLCALL_URL=(\S+) ROLLCALL_TOKEN=(\S+)", log.read_text())
        if told:
            # The loopback address itself: a name may lead to IPv6 first, where nobody listens.
            return stack, Api(told[1].replace("localhost", "127.0.0.1"), told[2])
        time.sleep(0.1)
    stack.kill()
    sys.exit(f"the local stack does not start:\n{log.read_text()}")


def furnish(api: Api) -> dict[str, list[str]]:
    """What is there, by the names of the parameters that ask for it."""
    workspace = api.send("GET", "/v1/workspaces")["items"][0]["id"]
    of = f"/v1/workspaces/{workspace}"
    ids = lambda path: [item["id"] for item in api.send("GET", of + path)["items"]]
    invites = [{"email": f"guest{n}@example.com"} for n in range(4)]
    answers = api.send("POST", f"{of}/invites", {"invites": invites})["items"]
    api.send("PUT", f"{of}/webhook", {"url": "https://app.example.com/rollcall"})
    return {
        "workspace": [workspace],
        "member": ids("/members?include=suspended"),
        "team": ids("/teams")[:5],
        "run": ids("/sync-runs")[:5],
        "invite": [answer["invite"]["id"] for answer in answers],
    }


def fixed(there: dict[str, list[str]]) -> str:
    """Always the same thing of each kind."""
    lines = [f'"path.{name}" = "{values[0]}"' for name, values in there.items()]
    return "\n".join(["[parameters]", f'"query.workspace" = "{there["workspace"][0]}"', *lines, ""])


def mostly(there: dict[str, list[str]]) -> str:
    """Mostly things that are there."""
    dictionaries = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in there.items()]
    draw = lambda name: f'{{ dictionary = "{name}", probability = 0.9 }}'
    lines = [f'"path.{name}" = {draw(name)}' for name in there]
    return "\n".join([*dictionaries, "[parameters]", f'"query.workspace" = {draw("workspace")}', *lines, ""])


def is_valid(description: Path) -> bool:
    done = subprocess.run([TOOLS / "openapi-spec-validator", description], check=False, capture_output=True, text=True)
    # It repeats the whole description where something is wrong with it.
    print((done.stdout + done.stderr)[:500].strip())
    return done.returncode == 0


def ask(name: str, api: Api, description: Path, parameters: str, *arguments: str) -> bool:
    scratch = description.parent
    config = scratch / f"{len(list(scratch.glob('*.toml')))}.toml"
    # Top-level keys come before tables.
    config.write_text((HERE / "schemathesis.toml").read_text() + "\n" + parameters)
    print(f"\n--- {name}", flush=True)
    command = [TOOLS / "schemathesis", "--config-file", config, "run", description, "--url", api.url]
    command += ["--header", f"Authorization: Bearer {api.token}", "--warnings", "off", *arguments]
    environment = os.environ | {"ROLLCALL_API_CHECKS": str(HERE / "checks.py")}
    try:
        return subprocess.run(command, cwd=scratch, env=environment, check=False, timeout=PATIENCE).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"not done within {PATIENCE} s")
        return False


def main(program: str) -> int:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        stack, api = start(program, scratch / "stack.log")
        try:
            description = scratch / "openapi.json"
            with urllib.request.urlopen(f"{api.url}/v1/openapi.json", timeout=30) as response:
                description.write_bytes(response.read())
            valid = is_valid(description)
            there = furnish(api)
            results = [
                valid,
                ask("as it is described", api, description, "", "--phases", "examples,coverage"),
                ask("of what is there", api, description, fixed(there), "--phases", "examples,coverage"),
                ask("at random", api, description, mostly(there), "--phases", "fuzzing", "--max-examples", str(FUZZING)),
                ask("one after the other", api, description, "", "--phases", "stateful", "--max-examples", str(STATEFUL)),
            ]
            if stack.poll() is not None:
                print("the local stack has ended on the way")
                results.append(False)
        finally:
            stack.send_signal(signal.SIGINT)
            try:
                stack.wait(20)
            except subprocess.TimeoutExpired:
                stack.kill()
        return 0 if all(results) else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
