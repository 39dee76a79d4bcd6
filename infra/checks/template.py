"""What has to hold of the template: least rights, what the code needs, and what no local emulator shows.

It is checked on the template as SAM translates it, so that nothing hides behind a shorthand. Then the template is spoilt in one place
after the other, and each time a check has to notice. Run by .ci/run in an environment that has aws-sam-translator and cfn-lint.
"""

import json
import os
import pathlib
import re
import sys

from cfnlint.decode.cfn_yaml import loads
from samtranslator.translator.transform import transform

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
FUNCTIONS = {
    "OauthCallback": "oauth-callback",
    "Invites": "invites",
    "AdminApi": "admin-api",
    "ScheduledSync": "scheduled-sync",
}
METHODS = {"get", "post", "put", "patch", "delete"}
# X-Ray knows no narrower resource for these two.
ANY_RESOURCE = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# What AWS itself does in a role's name: the emulator of the deployed test acts without these rights, so that they are listed here. What
# the functions do themselves is tried there, right by right.
STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
QUEUE = {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"}
OF_EVERY_FUNCTION = {("Log", ("logs:CreateLogStream", "logs:PutLogEvents")), ("Trace", tuple(sorted(ANY_RESOURCE)))}
BY_THE_PLATFORM = {
    "OauthCallbackRole": OF_EVERY_FUNCTION,
    "InvitesRole": OF_EVERY_FUNCTION,
    "AdminApiRole": OF_EVERY_FUNCTION,
    "ScheduledSyncRole": OF_EVERY_FUNCTION
    | {("WorkTheQueue", tuple(sorted(QUEUE))), ("HearOfEvents", tuple(sorted(STREAM))), ("Untold", ("sqs:SendMessage",))},
    "EventPipeRole": {("ReadTheStream", tuple(sorted(STREAM))), ("Tell", ("events:PutEvents",)), ("Untold", ("sqs:SendMessage",))},
    "ScheduleRole": {("Invoke", ("lambda:InvokeFunction",)), ("Undelivered", ("sqs:SendMessage",))},
}
BY_THE_FUNCTION = {"Table", "Secret", "SendInvites", "AskForSyncRuns"}

problems = []


def check(holds, problem):
    if not holds:
        problems.append(problem)


def plain(value):
    return json.loads(json.dumps(value))


def translated(text):
    template = plain(loads(text))
    # SAM wants an address for the code, which `sam build` puts there.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    parameters = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}

    class NoManagedPolicies:
        def load(self):
            return {}

    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    return plain(transform(template, parameters, NoManagedPolicies()))


def of_type(template, kind):
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(role):
    for policy in role["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            # A statement that depends on a condition counts as if it were always there.
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def rights(template):
    for name, role in of_type(template, "AWS::IAM::Role").items():
        check(not role["Properties"].get("ManagedPolicyArns"), f"{name}: managed policies grant more than is needed")
        for statement in statements(role):
            actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
            check(statement["Effect"] == "Allow", f"{name}: only what is allowed is listed")
            check(not any("*" in action for action in actions), f"{name}: an action with a wildcard: {actions}")
            if "*" in resources:
                check(set(actions) <= ANY_RESOURCE, f"{name}: any resource for {actions}")
        listed = {(one["Sid"], tuple(sorted(as_list(one["Action"])))) for one in statements(role) if one["Sid"] not in BY_THE_FUNCTION}
        check(listed == BY_THE_PLATFORM.get(name), f"{name}: AWS needs other rights than {sorted(listed)}")
    check(set(of_type(template, "AWS::IAM::Role")) == set(BY_THE_PLATFORM), "a role is not known")
    for name, permission in of_type(template, "AWS::Lambda::Permission").items():
        check("SourceArn" in permission["Properties"], f"{name}: anybody's API or rule may call")
    allowed = [(json.dumps(p["Properties"]["FunctionName"]), p["Properties"]["Principal"]) for p in of_type(template, "AWS::Lambda::Permission").values()]
    for function in ("OauthCallback", "Invites", "AdminApi"):
        check((json.dumps({"Ref": function}), "apigateway.amazonaws.com") in allowed, f"{function}: the API may not call it")
    roles = [json.dumps(f["Properties"]["Role"]) for f in of_type(template, "AWS::Lambda::Function").values()]
    check(len(set(roles)) == len(FUNCTIONS), "each function has a role of its own")


def functions(template):
    found = of_type(template, "AWS::Lambda::Function")
    check(set(found) == set(FUNCTIONS), f"the four functions are there, and no others: {sorted(found)}")
    config = (ROOT / "shared/service/src/config.rs").read_text()
    known = set(re.findall(r'pub const \w+: &str = "(ROLLCALL_\w+)";', config))
    for name, binary in FUNCTIONS.items():
        properties = found[name]["Properties"]
        variables = set(properties["Environment"]["Variables"])
        required = {"ROLLCALL_PUBLIC_URL", "ROLLCALL_TABLE", "ROLLCALL_SECRET_ID"}
        main = (ROOT / "functions" / binary / "src/main.rs").read_text()
        if "sync_queue_url" in main:
            required.add("ROLLCALL_SYNC_QUEUE_URL")
        check(required <= variables, f"{name}: lacks {sorted(required - variables)}")
        check(variables <= known, f"{name}: sets {sorted(variables - known)}, which the code does not read")
        check(properties["Runtime"] == "provided.al2023" and properties["Handler"] == "bootstrap", f"{name}: not a Rust binary")
        check(properties["TracingConfig"] == {"Mode": "Active"}, f"{name}: no traces")
        check(properties["LoggingConfig"]["LogFormat"] == "JSON", f"{name}: logs are not JSON")
        timeout = properties["Timeout"]
        check(15 <= timeout <= (900 if name == "ScheduledSync" else 29), f"{name}: a timeout of {timeout} s")
        manifest = (ROOT / "functions" / binary / "Cargo.toml").read_text()
        check(f'name = "{binary}"' in manifest, f"{name}: there is no binary {binary}")


def table(template):
    ((_, table),) = of_type(template, "AWS::DynamoDB::Table").items()
    properties = table["Properties"]
    schema = (ROOT / "shared/store/src/schema.rs").read_text()
    constant = dict(re.findall(r'pub const (\w+): &str = "(\w+)";', schema))
    keys = {key["KeyType"]: key["AttributeName"] for key in properties["KeySchema"]}
    check(keys == {"HASH": constant["PARTITION_KEY"], "RANGE": constant["SORT_KEY"]}, f"the table's keys are {keys}")
    check(all(a["AttributeType"] == "S" for a in properties["AttributeDefinitions"]), "the table's keys are texts")
    ttl = properties["TimeToLiveSpecification"]
    check(ttl == {"AttributeName": constant["TTL"], "Enabled": True}, f"what expires is found by {ttl}")
    check(properties["BillingMode"] == "PAY_PER_REQUEST", "the table is on demand")
    check(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], "the table can be recovered")
    check(properties["DeletionProtectionEnabled"] and table["DeletionPolicy"] == "Retain", "the table is not deleted by accident")
    check(properties["SSESpecification"]["SSEEnabled"], "the table is encrypted")
    check(properties["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE", "events leave by the stream")


def queues(template):
    sync = template["Resources"]["SyncQueue"]["Properties"]
    timeout = template["Resources"]["ScheduledSync"]["Properties"]["Timeout"]
    check(sync["VisibilityTimeout"] >= 6 * timeout, "a message is hidden for six times the function's timeout")
    redrive = sync.get("RedrivePolicy", {})
    check("SyncDeadLetters" in json.dumps(redrive), "what fails is tried for ever")
    check(redrive.get("maxReceiveCount", 0) >= 3, "a message is tried three times")
    for name, queue in of_type(template, "AWS::SQS::Queue").items():
        check(queue["Properties"].get("SqsManagedSseEnabled"), f"{name}: not encrypted")
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping")
    check(len(mappings) == 2, f"the queue's messages and the table's events are worked on: {sorted(mappings)}")
    for name, mapping in mappings.items():
        properties = mapping["Properties"]
        check(properties.get("FunctionResponseTypes") == ["ReportBatchItemFailures"], f"{name}: what fails comes again one by one")
    events = (ROOT / "shared/store/src/events.rs").read_text()
    (suffix,) = re.findall(r'strip_suffix\("([^"]+)"\)', events)
    filters = [json.dumps(mapping["Properties"].get("FilterCriteria", {})) for mapping in mappings.values()]
    filters.append(json.dumps(template["Resources"]["EventPipe"]["Properties"]["SourceParameters"]["FilterCriteria"]))
    check(sum(suffix in one for one in filters) == 2, f"events are the rows whose partition ends with {suffix}")


def mails(template):
    """Only the sender's mails are sent, and what SES tells of them is heard."""
    mailer = (ROOT / "functions/invites/src/mailer.rs").read_text()
    (tag,) = re.findall(r'pub const INVITE_TAG: &str = "([^"]+)"', mailer)
    rule = template["Resources"]["InviteMailFeedback"]["Properties"]
    heard = rule["EventPattern"]
    check(heard["source"] == ["aws.ses"] and heard["detail"]["mail"]["tags"] == {tag: [{"exists": True}]}, f"SES tells of {tag}, and {heard} is heard")
    kinds = (ROOT / "functions/invites/src/feedback.rs").read_text()
    check(all(f'Some("{kind}")' in kinds for kind in heard["detail"]["eventType"]), f"the code does not know {heard['detail']}")
    told = template["Resources"]["InviteMailEvents"]["Properties"]["EventDestination"]["MatchingEventTypes"]
    check(told == [kind.upper() for kind in heard["detail"]["eventType"]], f"SES is asked to tell of {told}")
    (send,) = [one for one in statements(template["Resources"]["InvitesRole"]) if one["Sid"] == "SendInvites"]
    check(send.get("Condition") == {"StringEquals": {"ses:FromAddress": {"Ref": "InviteSender"}}}, "any address of the domain may be the sender")
    check("identity/*" not in json.dumps(send["Resource"]), "any identity may send")


def schedules(template):
    found = of_type(template, "AWS::Scheduler::Schedule")
    expressions = [schedule["Properties"]["ScheduleExpression"] for schedule in found.values()]
    check("rate(15 minutes)" in expressions, f"no tick every 15 minutes: {expressions}")
    for name, schedule in found.items():
        target = schedule["Properties"]["Target"]
        check(json.loads(target["Input"]) == {"time": "<aws.scheduler.scheduled-time>"}, f"{name}: the code reads the time")
        check("DeadLetterConfig" in target and "RetryPolicy" in target, f"{name}: a tick that fails is lost")


def alarms(template):
    sources = "\n".join(path.read_text() for folder in ("functions", "shared") for path in (ROOT / folder).rglob("src/**/*.rs"))
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    shown = json.loads(re.sub(r"\$\{[^}]+\}", "x", dashboard["Properties"]["DashboardBody"]["Fn::Sub"]))
    metrics, namespace = [], None
    for widget in shown["widgets"]:
        name = None
        for metric in widget["properties"].get("metrics", []):
            namespace = metric[0] if metric[0] not in (".", "...") else namespace
            name = metric[1] if metric[0] != "..." and metric[1] != "." else name
            metrics += [name] if namespace == "Rollcall" else []
    for name in metrics:
        check(f'"{name}"' in sources, f"the dashboard shows {name}, which nothing writes")
    (topic,) = of_type(template, "AWS::SNS::Topic").values()
    check("KmsMasterKeyId" not in topic["Properties"], "CloudWatch may not use AWS's own key for topics: no alarm would arrive")
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        properties = alarm["Properties"]
        check(properties.get("AlarmActions"), f"{name}: rings nowhere")
        if properties["Namespace"] == "Rollcall":
            check(f'"{properties["MetricName"]}"' in sources, f'{name}: nothing writes {properties["MetricName"]}')
            check(properties["Dimensions"][0]["Name"] == "function", f"{name}: metrics are told apart by function")
        readme = (ROOT / "README.md").read_text()
        check(f"`{name}`" in readme, f"{name}: the README does not say what to do")
    check(template["Resources"]["NoSuccessfulSync"]["Properties"]["TreatMissingData"] == "breaching", "silence is an alarm")


def routes(template):
    """Every route of the browser's function and of the invites is let through, and nothing that they do not have."""
    stage = template["Resources"]["ApiStage"]["Properties"]
    check("ThrottlingRateLimit" in stage["DefaultRouteSettings"], "the API takes requests without a limit")
    logged = set(re.findall(r"\$context\.(\w+)", stage["AccessLogSettings"]["Format"]))
    check(not logged & {"path", "identity", "authorizer"}, f"the API's log has {sorted(logged)}: paths and addresses are people's")
    described = json.loads((ROOT / "functions/admin-api/openapi.json").read_text())["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods if method in METHODS}
    of = {"Invites": set(), "AdminApi": set()}
    for route in of_type(template, "AWS::ApiGatewayV2::Route").values():
        for function, keys in of.items():
            if f"{function}Integration" in json.dumps(route["Properties"]["Target"]):
                keys.add(route["Properties"]["RouteKey"])
    invites = {operation for operation in operations if "/invites" in operation}
    check(of["Invites"] == invites, f"routes of invites: {sorted(of['Invites'] ^ invites)} are missing or too many")
    check(of["AdminApi"] == {"ANY /v1/{proxy+}"}, f"routes of admin-api: {sorted(of['AdminApi'])}")
    check(all(" /v1/" in operation for operation in operations), "an operation is not let through")
    known = set()
    for path in ["functions/oauth-callback/src/lib.rs", "functions/oauth-callback/src/openid/mod.rs"]:
        for place, methods in re.findall(r'\.route\("([^"]+)", (.+)\)\n', (ROOT / path).read_text()):
            known |= {f"{method.upper()} {place}" for method in re.findall(r"\b(get|post|put|patch|delete)\(", methods)}
    listed = set()
    for name, route in of_type(template, "AWS::ApiGatewayV2::Route").items():
        if "OauthCallback" in json.dumps(route["Properties"]["Target"]):
            listed.add(route["Properties"]["RouteKey"])
    check(known == listed, f"routes of oauth-callback: missing {sorted(known - listed)}, too many {sorted(listed - known)}")


def the_rest(template):
    for name, logs in of_type(template, "AWS::Logs::LogGroup").items():
        check("RetentionInDays" in logs["Properties"], f"{name}: logs are kept for ever")
    for name, secret in of_type(template, "AWS::SecretsManager::Secret").items():
        check(not {"SecretString", "GenerateSecretString"} & set(secret["Properties"]), f"{name}: a secret stands in the template")


# What is spoilt, and how: each of these is to be noticed.
SPOILT = [
    ("a wildcard action", "Action: secretsmanager:GetSecretValue", "Action: secretsmanager:*"),
    ("any resource", "Resource: !GetAtt Table.Arn", 'Resource: "*"'),
    ("a route that is not there", 'RouteKey: "GET /login"', 'RouteKey: "GET /logon"'),
    ("another key of the table", "{ AttributeName: sk, KeyType: RANGE }", "{ AttributeName: range, KeyType: RANGE }"),
    ("another attribute of what expires", "AttributeName: ttl", "AttributeName: expires"),
    ("a missing variable", "        ROLLCALL_TABLE: !Ref Table\n", ""),
    ("a misspelt variable", "ROLLCALL_BITBUCKET_URL: ", "ROLLCALL_BITBUCKET_ORIGIN: "),
    ("a queue without its variable", "          ROLLCALL_SYNC_QUEUE_URL: !Ref SyncQueue\n", "          ROLLCALL_SIGN_IN_RATE: 30\n"),
    ("an alarm on nothing", "MetricName: SuccessAge", "MetricName: SuccessAgo"),
    ("silence that is no alarm", "TreatMissingData: breaching", "TreatMissingData: missing"),
    ("logs for ever", "      RetentionInDays: !Ref LogRetentionDays\n", "      LogGroupClass: STANDARD\n"),
    ("a function with another's role", "Role: !GetAtt AdminApiRole.Arn", "Role: !GetAtt InvitesRole.Arn"),
    ("a right too few to poll the queue", "sqs:DeleteMessage, ", ""),
    ("a right too few to read the stream", "dynamodb:GetRecords, ", ""),
    ("a right too many for the schedule", "Action: lambda:InvokeFunction, Resource", "Action: lambda:UpdateFunctionCode, Resource"),
    ("an API that may not call", "FunctionName: !Ref AdminApi\n", "FunctionName: !Ref Invites\n"),
    ("a call from anywhere", "      SourceArn: !GetAtt InviteMailFeedback.Arn\n", ""),
    ("a route of the invites that is not there", "DELETE /v1/workspaces/{workspace}/invites", "DELETE /v1/workspaces/{workspace}/invite"),
    ("a route too few", "POST /v1/workspaces/{workspace}/invites/{invite}/resend", "GET /v1/workspaces/{workspace}/invites/{invite}/resend"),
    ("no dead letters", "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt SyncDeadLetters.Arn\n        maxReceiveCount: 3\n", ""),
    ("a message that comes while it is worked on", "VisibilityTimeout: 5400", "VisibilityTimeout: 60"),
    ("a batch that fails as a whole", "            FunctionResponseTypes: [ReportBatchItemFailures]\n", ""),
    ("a tick that is lost", "        DeadLetterConfig: { Arn: !GetAtt ScheduleDeadLetters.Arn }\n", ""),
    ("no time to live", "Enabled: true }\n      PointInTime", "Enabled: false }\n      PointInTime"),
    ("no backups", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"),
    ("an alarm that rings nowhere", "      AlarmActions: [!Ref Alarms]\n", ""),
    ("an alarm that cannot arrive", "      Subscription: !If", "      KmsMasterKeyId: alias/aws/sns\n      Subscription: !If"),
    ("a picture of nothing", '"SignInsRefused"', '"SignInsRefuted"'),
    ("another tag of the mails", "tags: { rollcall-invite:", "tags: { rollcall-invites:"),
    ("anybody as the sender", "                  Condition: { StringEquals: { \"ses:FromAddress\": !Ref InviteSender } }\n", ""),
    ("paths in the log", '"route":"$context.routeKey"', '"route":"$context.path"'),
    ("no limit of requests", "ThrottlingBurstLimit: 200, ThrottlingRateLimit: 100", "DetailedMetricsEnabled: true"),
    ("events that are none", '[{"suffix":"#events"}]', '[{"suffix":"#event"}]'),
    ("another input of a schedule", '{"time":', '{"tine":'),
]


def problems_of(text):
    problems.clear()
    template = translated(text)
    for part in [rights, functions, table, queues, mails, schedules, alarms, routes, the_rest]:
        part(template)
    return list(problems), len(template["Resources"])


text = TEMPLATE.read_text()
found, resources = problems_of(text)
for problem in found:
    print(problem, file=sys.stderr)
unnoticed = 0
for what, good, bad in SPOILT:
    if good not in text or not problems_of(text.replace(good, bad, 1))[0]:
        unnoticed += 1
        print(f"not noticed: {what}", file=sys.stderr)
print(f"{resources} resources, {len(found)} problems; {len(SPOILT)} ways to spoil it, {unnoticed} of them not noticed")
sys.exit(1 if found or unnoticed else 0)
