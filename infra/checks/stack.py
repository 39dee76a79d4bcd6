"""Starts what stands around a deployment (AWS's emulator, the stand-in Bitbucket, a mail server), and deploys the template to it."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import botocore.session
from aiosmtpd.controller import Controller

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKS = ROOT / "infra" / "checks"
REGION = "eu-west-1"
FUNCTIONS = {"OauthCallback": "oauth-callback", "Invites": "invites", "AdminApi": "admin-api", "ScheduledSync": "scheduled-sync"}
SENDER = "rollcall@mail.example.com"
# Amazon Linux 2023 has no newer one.
NEWEST_GLIBC = 34


class Failed(Exception):
    """Something is not as it has to be."""


def until(what, found, seconds=20.0):
    """Waits until `found` returns something."""
    deadline = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url):
    def found():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(url, timeout=2).status == 200

    return found


class Mails:
    """The mail server at which everything arrives."""

    def __init__(self):
        self.arrived = []
        self.port = free_port()
        self.server = Controller(self, hostname="127.0.0.1", port=self.port)
        self.server.start()

    async def handle_DATA(self, _server, _session, envelope):
        self.arrived.append((envelope.rcpt_tos, envelope.content))
        return "250 taken"


class Stack:
    """A deployment of the template, and everything around it."""

    def __init__(self, folder, binaries, standin, sam):
        self.folder, self.binaries, self.sam = folder, pathlib.Path(binaries).resolve(), sam
        self.processes = []
        self.mails = Mails()
        self.decisions = folder / "decisions.jsonl"
        self.decisions.touch()
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "RUSTUP_HOME", "CARGO_HOME") if name in os.environ},
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "SAM_CLI_TELEMETRY": "0",
        }
        self.start(
            [sys.executable, CHECKS / "emulator.py"],
            {
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "MINISTACK_REGION": REGION,
                "AUTH": "true",
                "SMTP_HOST": f"127.0.0.1:{self.mails.port}",
                "IOT_MTLS_ENABLED": "0",
                "ROLLCALL_DECISIONS": str(self.decisions),
            },
            "emulator.log",
        )
        bitbucket = free_port()
        self.bitbucket = f"http://127.0.0.1:{bitbucket}"
        self.start([standin, "--listen", f"127.0.0.1:{bitbucket}"], {}, "bitbucket.log")
        until("the emulator", answers(f"{self.endpoint}/_ministack/health"), 60)
        until("the stand-in Bitbucket", answers(f"{self.bitbucket}/_control/world"))
        session = botocore.session.Session()
        session.set_credentials("test", "test")
        self.aws = lambda service: session.create_client(service, REGION, endpoint_url=self.endpoint)

    def start(self, command, environment, log):
        with open(self.folder / log, "w") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**self.environment, **environment},
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.mails.server.stop()

    def run(self, command, environment=None, text=None):
        """Runs a program to its end; what it printed."""
        done = subprocess.run(
            [str(part) for part in command],
            env={**self.environment, **(environment or {})},
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Failed(f"{command[:2]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def build(self):
        """`sam build`, with the binaries of the release build, which are the ones that were tested."""
        self.run(
            [self.sam, "build", "--parameter-overrides", "Architecture=x86_64"],
            {
                "PATH": f"{CHECKS}:{self.environment['PATH']}",
                "ROLLCALL_CARGO": shutil.which("cargo", path=os.environ["PATH"]),
                "ROLLCALL_BINARIES": str(self.binaries),
                "CARGO_TARGET_DIR": str(self.folder / "target"),
                "CARGO_LAMBDA_COMPILER": "cargo",
            },
        )
        for name, binary in FUNCTIONS.items():
            built = (ROOT / ".aws-sam" / "build" / name / "bootstrap").read_bytes()
            tested = (self.binaries / binary).read_bytes()
            if hashlib.sha256(built).digest() != hashlib.sha256(tested).digest():
                raise Failed(f"what is deployed as {name} is not the release build's {binary}")
            newest = max(int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", built))
            if newest > NEWEST_GLIBC:
                raise Failed(f"{binary} needs glibc 2.{newest}, and Amazon Linux 2023 has 2.{NEWEST_GLIBC}")

    def deploy(self):
        """`sam deploy`; the stack's outputs and resources."""
        parameters = {
            "Architecture": "x86_64",
            "BitbucketUrl": self.bitbucket,
            "BitbucketApiUrl": self.bitbucket,
            "InviteSender": SENDER,
            "SignInRate": "10000",
        }
        self.run(
            [self.sam, "deploy", "--no-confirm-changeset", "--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())],
        )
        cloudformation = self.aws("cloudformation")
        (stack,) = cloudformation.describe_stacks(StackName="rollcall")["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        resources = cloudformation.describe_stack_resources(StackName="rollcall")["StackResources"]
        self.ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}

    def invoke(self, function, event):
        """Invokes a function and waits for its answer."""
        answer = self.aws("lambda").invoke(FunctionName=self.ids[function], Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise Failed(f"{function} failed: {payload}")
        return payload

    def restart(self, function):
        """Gives a function a fresh process, which reads the secret anew."""
        aws, name = self.aws("lambda"), self.ids[function]
        memory = aws.get_function_configuration(FunctionName=name)["MemorySize"]
        aws.update_function_configuration(FunctionName=name, MemorySize=memory)
        until(f"{function} to be updated", lambda: aws.get_function_configuration(FunctionName=name)["LastUpdateStatus"] == "Successful")

    def tell_logs(self):
        """What the functions wrote last, for whoever has to find out what went wrong."""
        logs = self.aws("logs")
        for name in FUNCTIONS:
            for group in (self.ids.get(f"{name}Logs"), f"/aws/lambda/{self.ids.get(name)}"):
                with contextlib.suppress(Exception):
                    messages = [event["message"].rstrip() for event in logs.filter_log_events(logGroupName=group)["events"]]
                    told = [message for message in messages if '"ERROR"' in message or '"WARN"' in message]
                    print(*[f"{name}: {message}" for message in told[-5:]], sep="\n", file=sys.stderr)

    def control(self, method, path, body=None):
        """Changes the stand-in Bitbucket's world."""
        request = urllib.request.Request(
            f"{self.bitbucket}/_control{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        text = urllib.request.urlopen(request, timeout=10).read()
        return json.loads(text) if text else None
