"""Each function with exactly its rights, and with one right less.

For each function there is a journey that needs all of its rights. It is gone through with the rights of the template, and then once for
each right without it: then it has to fail, and the emulator has to have refused that very action. What is not tried here are the
rights that AWS itself uses for a function; the emulator acts without them, and template.py asserts them.
"""

import copy
import json
import secrets
import time

from browser import Caller
from stack import FUNCTIONS, SENDER, Failed
from story import MEMBER, check, invited_by_admin

# What Lambda does in a function's name: it writes logs and traces, polls the queue and the stream, and sets aside what fails.
BY_THE_PLATFORM = {"Log", "Trace", "WorkTheQueue", "HearOfEvents", "Untold"}
# Of these, what the function does itself.
BY_THE_FUNCTION = {"sqs:SendMessage"}


def oauth_callback(world):
    """Signs in, signs in anew, goes to the application, and signs out."""
    browser = world.signed_in(MEMBER)
    page = browser.visit(f"{world.issuer}/login/bitbucket?workspace={world.workspace}")
    check(browser.visit(page.link(world.name(MEMBER))).heading() == "You are signed in", "a second sign-in in the same browser")
    tokens = world.to_the_application(browser)
    world.user_info(tokens)
    # The page that asks first cannot be had: the emulator takes its address for Cognito's.
    page = browser.submit(f"{world.issuer}/logout", {"confirm": "yes", "id_token_hint": tokens["id_token"], "client_id": world.client["id"]})
    check(page.status < 400, f"the logout was answered {page.status}: {page.text[:300]}")
    world.user_info(tokens, expect=(401,))


def invites(world):
    """An admin invites somebody, who has to be one still while it is written; then the invite is sent again, and revoked."""
    call, address = world.call, f"{secrets.token_hex(4)}@partner.example.com"
    item = invited_by_admin(world, {"email": address})
    check(item["status"] == "issued" and item["invite"]["delivery"] == "sent", f"the invite is {item}")
    check(call("GET", world.at("/invites"))["items"], "there are invites")
    call("GET", world.at(f"/invites/{item['invite']['id']}"))
    call("POST", world.at(f"/invites/{item['invite']['id']}/resend"), {}, if_match=call.etag)
    call("GET", world.at(f"/invites/{item['invite']['id']}"))
    call("DELETE", world.at(f"/invites/{item['invite']['id']}"), if_match=call.etag)


def admin_api(world):
    """Looks around, makes a token and revokes it, changes a member there and back, and asks for a run."""
    call = world.call
    for path in ("/members", "/teams", "/repositories", "/connection", "/sync-runs", "/audit"):
        call("GET", world.at(path))
    made = call("POST", "/v1/tokens", {"name": "a machine", "reach": {"workspace": world.workspace}, "access": "write"})
    # Who is bound to the workspace may not take its last admin away: that another one stays is checked in the transaction.
    machine, member = Caller(world.stack, made["token"]), world.at(f"/members/{world.member(MEMBER)['id']}")
    for role in ("admin", "member"):
        machine("GET", member)
        machine("PATCH", member, {"role": role}, if_match=machine.etag)
    call("DELETE", f"/v1/tokens/{made['id']}")
    world.ended_run(call("POST", world.at("/sync-runs"), {"mode": "plan"})["id"])


def scheduled_sync(world):
    """Ticks; then a team and somebody's place in it change, and runs apply that; then somebody is disabled, and the application is told.

    The test hands over what the queue and the stream would, so that the answers are seen and nothing else happens at the same time.
    """
    stack, group, member = world.stack, secrets.token_hex(4), world.at(f"/members/{world.member(MEMBER)['id']}")
    for mapping in ("ScheduledSyncWork", "ScheduledSyncHappened"):
        stack.aws("lambda").update_event_source_mapping(UUID=stack.ids[mapping], Enabled=False)
    # A run that the table has failed keeps its lease, until it has run out.
    lease = {"pk": {"S": f"{world.workspace}#sync"}, "sk": {"S": "lease"}}
    stack.aws("dynamodb").delete_item(TableName=stack.outputs["TableName"], Key=lease)
    world.call("PATCH", member, {"state": "active"})
    ticked = stack.invoke("ScheduledSync", {"time": "2026-01-01T00:00:00Z"})
    check(ticked == {"connections": 1}, f"the tick was answered {ticked}")
    stack.control("POST", "/groups", {"name": group, "members": [MEMBER]})
    apply(world)
    stack.control("DELETE", f"/groups/{group}/members/{MEMBER}")
    apply(world)
    stack.control("DELETE", f"/groups/{group}")
    apply(world)
    world.to_the_application(world.signed_in(MEMBER))
    world.call("PATCH", member, {"state": "disabled"})
    row = {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": f"{world.workspace}#events"}}, "SequenceNumber": "1"}}
    answer = stack.invoke("ScheduledSync", {"Records": [row]})
    check(answer == {"batchItemFailures": []}, f"the events were answered {answer}")
    world.call("PATCH", member, {"state": "active"})


def apply(world):
    """A message of the queue, handed to the function as Lambda does; whether it was done is in the answer."""
    run = f"run_{int(time.time() * 1000):012x}{secrets.token_hex(10)}"
    body = json.dumps({"workspace": world.workspace, "run": run, "mode": {"mode": "apply"}})
    record = {"messageId": secrets.token_hex(8), "body": body, "eventSource": "aws:sqs"}
    answer = world.stack.invoke("ScheduledSync", {"Records": [record]})
    check(answer == {"batchItemFailures": []}, f"the message was answered {answer}")
    state = world.call("GET", world.at(f"/sync-runs/{run}"))
    check(state["state"] == "applied", f"the run is {state['state']}: {state['message']}")


JOURNEYS = {"OauthCallback": oauth_callback, "Invites": invites, "AdminApi": admin_api, "ScheduledSync": scheduled_sync}


class Role:
    """A function's role, from which a right can be taken."""

    def __init__(self, stack, function):
        self.iam, self.name = stack.aws("iam"), stack.ids[f"{function}Role"]
        (self.policy,) = self.iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        self.document = self.iam.get_role_policy(RoleName=self.name, PolicyName=self.policy)["PolicyDocument"]

    def rights(self):
        """Each action that the function itself uses, with its place."""
        for place, statement in enumerate(self.document["Statement"]):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for action in actions:
                if statement["Sid"] not in BY_THE_PLATFORM or (statement["Sid"] == "WorkTheQueue" and action in BY_THE_FUNCTION):
                    yield place, action

    def without(self, place, action):
        document = copy.deepcopy(self.document)
        statement = document["Statement"][place]
        rest = [one for one in statement["Action"] if one != action] if isinstance(statement["Action"], list) else []
        if rest:
            statement["Action"] = rest
        else:
            del document["Statement"][place]
        self.put(document)

    def put(self, document):
        self.iam.put_role_policy(RoleName=self.name, PolicyName=self.policy, PolicyDocument=json.dumps(document))


def refused(stack, role, since):
    """The actions that a role was refused, and how many decisions there have been."""
    lines = stack.decisions.read_text().splitlines()
    decisions = [json.loads(line) for line in lines[since:]]
    return {one["action"] for one in decisions if one["role"] == role and not one["allowed"]}, len(lines)


def rights(stack, world, say):
    """Tries every right of every function."""
    for function, journey in JOURNEYS.items():
        role = Role(stack, function)
        _, since = refused(stack, role.name, 0)
        journey(world)
        denied, since = refused(stack, role.name, since)
        check(not denied, f"{function} lacks a right: {sorted(denied)}")
        tried = list(role.rights())
        for place, action in tried:
            role.without(place, action)
            stack.restart(function)
            try:
                journey(world)
            except Failed as failure:
                why = failure
            else:
                raise Failed(f"{function} does as well without {action}, which it should then not have")
            finally:
                role.put(role.document)
            denied, since = refused(stack, role.name, since)
            check(denied == {action}, f"{function} without {action} was refused {sorted(denied)}; what failed is: {why}")
        stack.restart(function)
        journey(world)
        say(f"{FUNCTIONS[function]} works with its rights, and fails without each of {len(tried)}")
