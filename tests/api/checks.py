"""A check beside Schemathesis' own: what the description allows is accepted.

Its own check of that kind takes every 400, 412 and 422 for a fault. Here they are none where the answer names, in `errors`, only what no
description can tell: what has become of a thing meanwhile, what time it is, what a cursor stands for.
"""

import re

import schemathesis

EVERYWHERE = [
    # A cursor is sealed: one that is made up is none.
    r"(people_|repositories_)?cursor",
    # The same key for another request.
    r"Idempotency-Key",
]

BY_OPERATION = {
    # A credential that reaches everything has to say which workspace.
    "list_events": [r"workspace"],
    # In the past, or of a workspace that is not there.
    "create_token": [r"/expires_at", r"/reach/workspace"],
    # Not written as a browser writes it; a client that could do nothing; a workspace that is not there; the admin API's own audience.
    "create_client": [
        r"/(post_logout_)?redirect_uris(/\d+)?",
        r"/backchannel_logout_uri",
        r"/audience",
        r"/machine(/reach/workspace)?",
        r"/workspace",
    ],
    # What a new connection needs and a standing one does not.
    "put_connection": [r"/bitbucket_workspace", r"/credential(/\w+)?"],
    # A slug of nothing but dots.
    "probe_connection": [r"/bitbucket_workspace"],
    # Leads to no place on the public internet.
    "put_webhook": [r"/url"],
    # In the past, or of a member whom no invite has let in.
    "change_member": [r"/membership_until"],
}

# The probe of a credential that Bitbucket does not take.
OTHER_KINDS = {"put_connection": {"urn:problem-type:rollcall:credential-unusable"}}


def is_of_the_state(operation: str, problem: dict) -> bool:
    if problem.get("type") in OTHER_KINDS.get(operation, ()):
        return True
    allowed = EVERYWHERE + BY_OPERATION.get(operation, [])
    places = [error.get("pointer", error.get("parameter", "")) for error in problem.get("errors", [])]
    return bool(places) and all(any(re.fullmatch(pattern, place) for pattern in allowed) for place in places)


def headers_are_as_described(case) -> bool:
    """Coverage by Schemathesis fills a header, in a case that it takes for a good one, with a value that it takes for a bad one."""
    parameters = case.operation.definition.raw.get("parameters", [])
    patterns = {it["name"]: it["schema"].get("pattern", "") for it in parameters if it["in"] == "header"}
    sent = case.headers or {}
    return all(re.search(pattern, sent[name] or "") for name, pattern in patterns.items() if name in sent)


@schemathesis.check
def what_is_described_is_accepted(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or not headers_are_as_described(case):
        return
    if response.status_code == 412 and "If-Match" in (case.headers or {}):
        return
    if response.status_code in (400, 411, 412, 413, 414, 415, 417, 422, 428):
        operation = case.operation.definition.raw["operationId"]
        assert is_of_the_state(operation, response.json()), f"{response.status_code} for what the description allows"
