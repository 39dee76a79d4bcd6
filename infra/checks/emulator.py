"""The local AWS emulator (ministack), with what the deployed test needs of AWS and it does not do.

The test may tell what SES tells: the bus takes events of `aws.ses`, which on AWS only SES itself can put there.

Rights are enforced as AWS enforces them for `ses:SendEmail` (on the sender's domain, with `ses:FromAddress`) and for a batch of messages (as for one message). And each decision about
a role's rights is written down, one JSON object in a line of $ROLLCALL_DECISIONS, so that the test sees which rights are used at all.
"""

import json
import os

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import eventbridge

decide = iam_evaluator.enforce
put_events = eventbridge._put_events


def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    if iam_action == "ses:SendEmail":
        request = iam_evaluator._signed_request.get()
        sender = json.loads(request.body or b"{}").get("FromEmailAddress", "")
        resource_arn = f"arn:aws:ses:{region}:{get_account_id()}:identity/{sender.rpartition('@')[2]}"
        service_context = {**(service_context or {}), "ses:FromAddress": sender}
    if iam_action == "sqs:SendMessageBatch":
        iam_action = "sqs:SendMessage"
    decision = decide(access_key_id, iam_action, service, region, resource_arn, service_context)
    caller = getattr(iam_evaluator.resolve_principal(access_key_id or "", get_account_id()), "arn", "")
    if ":assumed-role/" in caller:
        line = {"role": caller.split("/")[1], "action": iam_action, "resource": resource_arn, "allowed": decision is None}
        with open(os.environ["ROLLCALL_DECISIONS"], "a") as decisions:
            decisions.write(json.dumps(line) + "\n")
    return decision


iam_evaluator.enforce = enforce
eventbridge._put_events = lambda data, _allow=False: put_events(data, allow_aws_source=True)

if __name__ == "__main__":
    from ministack.app import main

    main()
