"""What people do with a deployment, from the first set-up to somebody who is offboarded."""

import base64
import email
import hashlib
import json
import re
import secrets
import urllib.parse

from browser import Browser, Caller
from pipe import Pipe
from stack import SENDER, Failed, until

# The stand-in's example world: its consumers, and who in it can do what.
LOGIN = {"BITBUCKET_CLIENT_ID": "rollcall-login-key", "BITBUCKET_CLIENT_SECRET": "rollcall-login-secret"}
SYNC = {"key": "rollcall-sync-key", "secret": "rollcall-sync-secret"}
ADMIN, MEMBER, REFUSED, LEAVER = "johanna", "amira", "mira", "tuuli"
CALLBACK = "https://shop.example.com/callback"
INVITED = "grace@partner.example.com"


def check(holds, problem):
    if not holds:
        raise Failed(problem)


class World:
    """What the story has made, for those who go on with it."""

    def __init__(self, stack, token):
        self.stack, self.issuer, self.call = stack, stack.outputs["Url"], Caller(stack, token)
        self.people = {person["username"]: person for person in stack.control("GET", "/world")["people"]}

    def at(self, path):
        return f"/v1/workspaces/{self.workspace}{path}"

    def command(self, *arguments):
        """What the command line prints, as the README has it typed. The API's own name is AWS's to resolve."""
        port = urllib.parse.urlsplit(self.stack.endpoint).port
        return self.stack.run([self.stack.command_line, *arguments], {
            "ROLLCALL_URL": f"http://{self.stack.ids['Api']}.execute-api.localhost:{port}", "ROLLCALL_TOKEN": self.call.token,
            "BITBUCKET_KEY": SYNC["key"], "BITBUCKET_SECRET": SYNC["secret"],
        })

    def name(self, username):
        return self.people[username]["name"]

    def sign_in(self, username):
        """Goes through Bitbucket's page in a browser of their own; the browser and the last page."""
        browser = Browser(self.stack)
        chooser = browser.visit(f"{self.issuer}/login?workspace={self.workspace}")
        consent = browser.visit(chooser.link("Continue with Bitbucket"))
        return browser, browser.visit(consent.link(self.name(username)))

    def signed_in(self, username):
        browser, page = self.sign_in(username)
        check(page.heading() == "You are signed in", f"{username} should be signed in; the page says {page.heading()!r}")
        return browser

    def member(self, username):
        members = self.call("GET", self.at("/members?include=suspended"))["items"]
        mine = [member for member in members if member["display_name"] == self.name(username)]
        return mine[0] if mine else None

    def ended_run(self, run):
        def ended():
            found = self.call("GET", self.at(f"/sync-runs/{run}"))
            return found if found["ended_at"] else None

        return until(f"the end of the run {run}", ended, 60)

    def to_the_application(self, browser):
        """Signs in to the application, which redeems the code; its tokens."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": self.client["id"], "redirect_uri": CALLBACK, "scope": "openid profile email offline_access",
            "state": "s", "nonce": "n", "code_challenge": challenge, "code_challenge_method": "S256", "workspace": self.workspace,
        }
        page = browser.visit(f"{self.issuer}/authorize?{urllib.parse.urlencode(asked)}", stop_at=CALLBACK)
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.url).query))
        check(page.status == 0 and "code" in answer, f"no code came to the application: {page.status} {page.heading()!r} {answer}")
        application = Caller(self.stack, "")
        basic = base64.b64encode(f"{self.client['id']}:{self.client['client_secret']}".encode()).decode()
        redeemed = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": CALLBACK, "code_verifier": verifier}
        return application("POST", "/token", urllib.parse.urlencode(redeemed), authorization=f"Basic {basic}")

    def user_info(self, tokens, expect=(200,)):
        return Caller(self.stack, tokens["access_token"])("GET", "/userinfo", expect=expect)


def story(stack, say):
    """Tells it; the world as it is then."""
    token = set_up(stack)
    world = World(stack, token)
    discovery = Caller(stack, "")("GET", "/.well-known/openid-configuration")
    check(discovery["issuer"] == world.issuer, f"the issuer is {discovery['issuer']}, and the output Url says {world.issuer}")
    say("set up: the secret is written, the first admin token works, and the issuer is the output Url")
    listen(stack)
    connect(world)
    say(f"connected and synced through the queue: {world.teams} teams")
    people(world)
    say("people sign in with Bitbucket: one is let in, one is refused, one goes on to the application")
    invite(world)
    say("an admin invites: the mail arrives, and one that comes back marks its invite")
    offboard(world)
    say("the schedule fires the sync: who has left is suspended everywhere, and the event reaches the bus in order")
    webhook(world)
    say("the stream wakes the function: a webhook that fails is known to fail")
    poison(stack)
    say("a poisoned message goes to the dead letters after three attempts")
    return world


def set_up(stack):
    """The set-up command, as the README has it, after the deployment."""
    callbacks = stack.run(["infra/set-up", "--callbacks"])
    callback = f"{stack.outputs['Url']}/callback/bitbucket"
    check(callback in callbacks, f"the callback to register is not told: {callbacks}")
    stack.control("PATCH", f"/consumers/{LOGIN['BITBUCKET_CLIENT_ID']}", {"callback": callback})
    sets = ["--configuration-set-name", stack.outputs["InviteMails"]]
    stack.run(["aws", "sesv2", "create-email-identity", "--email-identity", SENDER.split("@")[1], *sets])
    written = stack.run(["infra/set-up"], LOGIN)
    try:
        stack.run(["infra/set-up"], LOGIN)
    except Failed as refused:
        check("written already" in str(refused), str(refused))
    else:
        raise Failed("the secret was overwritten by a second set-up")
    return re.search(r"ROLLCALL_TOKEN=(\S+)", written)[1]


def listen(stack):
    """A queue of the application's own hears what is on the bus."""
    sqs, events = stack.aws("sqs"), stack.aws("events")
    stack.heard = sqs.create_queue(QueueName="application")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=stack.heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.outputs["EventBusName"]
    events.put_rule(Name="application", EventBusName=bus, EventPattern=json.dumps({"source": ["rollcall"]}))
    events.put_targets(Rule="application", EventBusName=bus, Targets=[{"Id": "application", "Arn": arn}])


def connect(world):
    stack, call = world.stack, world.call
    world.workspace = json.loads(world.command("workspaces", "--create", "Fernweh", "--json"))["id"]
    bitbucket = stack.control("GET", "/world")
    slug, admin = bitbucket["workspace"]["slug"], world.people[ADMIN]["uuid"]
    told = world.command("doctor", world.workspace, slug)
    check("+ read the members" in told, f"the doctor says: {told}")
    told = world.command("connect", world.workspace, slug, "--first-admin", admin)
    check("applied" in told, f"the first sync: {told}")
    world.teams = len(call("GET", world.at("/teams?limit=100"))["items"])
    check(world.teams == len(bitbucket["groups"]), f"{world.teams} teams, and {len(bitbucket['groups'])} groups")
    world.client = call("POST", "/v1/clients", {"name": "Shop", "redirect_uris": [CALLBACK]})


def people(world):
    browser = world.signed_in(MEMBER)
    check(world.member(MEMBER)["state"] == "active", "whoever is signed in is an active member")
    refused, page = world.sign_in(REFUSED)
    check("cannot use" in page.heading(), f"{REFUSED} should be refused; the page says {page.heading()!r}")
    check(world.member(REFUSED) is None, f"{REFUSED} was refused and is a member")
    told = world.user_info(world.to_the_application(browser))
    check(told["sub"] == world.member(MEMBER)["id"], f"the application was told of {told}")


def invite(world):
    """By an admin who is signed in, in their browser: the API takes the session."""
    stack = world.stack
    world.admin = world.signed_in(ADMIN)
    check(world.member(ADMIN)["role"] == "admin", "the connection's first admin is an admin")
    item = invited_by_admin(world, {"email": INVITED, "note": "Welcome."})
    check(item["status"] == "issued" and item["link"] is None, f"the invite is {item}")
    to, content = until("the mail", lambda: stack.mails.arrived and stack.mails.arrived[-1])
    mail = email.message_from_bytes(content)
    text = next(part for part in mail.walk() if part.get_content_type() == "text/plain").get_payload(decode=True).decode()
    check(to == [INVITED] and SENDER in mail["From"], f"the mail went to {to} from {mail['From']}")
    check(f"{world.issuer}/invite" in text, f"the mail has no link: {text}")
    # What SES tells of a mailbox that does not exist; the tags are those that the mail was sent with.
    detail = {
        "eventType": "Bounce", "bounce": {"bounceType": "Permanent"},
        "mail": {"tags": {"rollcall-workspace": [world.workspace], "rollcall-invite": [item["invite"]["id"]]}},
    }
    entry = {"Source": "aws.ses", "DetailType": "Email Bounced", "Detail": json.dumps(detail)}
    put = stack.aws("events").put_events(Entries=[entry])
    check(put["FailedEntryCount"] == 0, f"the event was not taken: {put['Entries']}")
    path = world.at(f"/invites/{item['invite']['id']}")
    until("the invite that bounced", lambda: world.call("GET", path)["delivery"] == "bounced")


def invited_by_admin(world, person):
    """What became of an invite that an admin issues who is signed in: by a page of ours, in their browser."""
    body = json.dumps({"invites": [person]}).encode()
    headers = {
        "content-type": "application/json", "origin": world.issuer, "sec-fetch-site": "same-origin", "idempotency-key": secrets.token_hex(8),
        "accept": "application/json",
    }
    answer = world.admin.send("POST", world.issuer + world.at("/invites"), body, headers)
    check(answer.status == 200, f"the invite was answered {answer.status}: {answer.text[:400]}")
    (item,) = json.loads(answer.text)["items"]
    return item


def let_time_go_by(world, seconds):
    """As far as the schedule is concerned: the last members lane was that long ago."""
    table, dynamodb = world.stack.outputs["TableName"], world.stack.aws("dynamodb")
    key = {"pk": {"S": f"{world.workspace}#sync"}, "sk": {"S": "state"}}
    state = json.loads(dynamodb.get_item(TableName=table, Key=key)["Item"]["json"]["S"])
    lane = state["members"]
    earlier = {name: value - seconds * 1000 for name, value in lane.items() if name.endswith("_at") and isinstance(value, int)}
    check(earlier, f"the members lane has no times: {lane}")
    lane.update(earlier)
    dynamodb.update_item(
        TableName=table, Key=key, UpdateExpression="SET #json = :json", ExpressionAttributeNames={"#json": "json"},
        ExpressionAttributeValues={":json": {"S": json.dumps(state)}},
    )


def offboard(world):
    stack = world.stack
    browser = world.signed_in(LEAVER)
    tokens = world.to_the_application(browser)
    world.user_info(tokens)
    stack.control("DELETE", f"/people/{LEAVER}")
    let_time_go_by(world, 1200)
    # The schedule's own target, at once: it is not going to be a quarter of an hour.
    scheduler = stack.aws("scheduler")
    target = scheduler.get_schedule(Name=stack.ids["MembersSchedule"])["Target"]
    scheduler.create_schedule(
        Name="now", ScheduleExpression="at(2026-01-01T00:00:00)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target,
    )
    until(f"{LEAVER} to be suspended", lambda: world.member(LEAVER)["state"] == "suspended", 60)
    world.user_info(tokens, expect=(401,))
    check(browser.visit(f"{world.issuer}/login").heading() != "You are signed in", "the session of who was suspended still works")
    _, page = world.sign_in(LEAVER)
    check("cannot use" in page.heading(), f"{LEAVER} should be refused; the page says {page.heading()!r}")
    heard = events_on_the_bus(stack, "member.suspended")
    (suspended,) = [event for event in heard if event["type"] == "rollcall.member.suspended"]
    check(suspended["subject"] == world.member(LEAVER)["id"] and suspended["source"] == world.issuer, f"the bus says {suspended}")


def events_on_the_bus(stack, last):
    """What the application has heard, up to an event of a kind."""
    sqs, heard, pipe = stack.aws("sqs"), [], Pipe(stack)

    def found():
        pipe.carry()
        for message in sqs.receive_message(QueueUrl=stack.heard, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=stack.heard, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            check(event["source"] == "rollcall", f"on the bus is {event}")
            heard.append(event["detail"])
        return any(event["type"].endswith(last) for event in heard)

    until(f"{last} on the bus", found)
    return heard


def webhook(world):
    """Its address leads nowhere, which the next event shows."""
    call = world.call
    call("PUT", world.at("/webhook"), {"url": "https://hooks.example.invalid/rollcall"})
    member = world.member(MEMBER)
    call("GET", world.at(f"/members/{member['id']}"))
    call("PATCH", world.at(f"/members/{member['id']}"), {"role": "admin"}, if_match=call.etag)
    until("the webhook to be known to fail", lambda: call("GET", world.at("/webhook"))["failing"])
    call("DELETE", world.at("/webhook"), if_match=call.etag)


def poison(stack):
    """Three deliveries, and then it is set aside. Only the time between them is shortened."""
    sqs, queue = stack.aws("sqs"), stack.outputs["SyncQueueUrl"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=queue, MessageBody='{"workspace": "none", "run": "none"}')

    def set_aside():
        return sqs.receive_message(QueueUrl=stack.ids["SyncDeadLetters"], AttributeNames=["All"]).get("Messages")

    (message,) = until("the dead letter", set_aside, 60)
    check(message["Body"] == '{"workspace": "none", "run": "none"}', f"the dead letter is {message['Body']}")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "5400"})
