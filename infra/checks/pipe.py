"""Stands for EventBridge Pipes, which the emulator only half plays: reads the table's stream, and does what the template says with it.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html
"""

import json
import re

import yaml

from stack import ROOT, Failed


def value_at(record, path):
    for name in path.removeprefix("$.").split("."):
        record = record[name]
    return record


def fits(pattern, record):
    """As far as the template uses event patterns: lists of texts and of suffixes."""
    if isinstance(pattern, dict):
        return isinstance(record, dict) and all(name in record and fits(rest, record[name]) for name, rest in pattern.items())
    return any(record.endswith(one["suffix"]) if isinstance(one, dict) else record == one for one in pattern)


def filled(template, record):
    """A placeholder within quotes is replaced as it is, one without becomes JSON."""
    within_quotes = False
    parts = re.split(r'(<\$\.[\w.]+>|")', template)
    for at, part in enumerate(parts):
        if part == '"':
            within_quotes = not within_quotes
        elif part.startswith("<$."):
            value = value_at(record, part[1:-1])
            parts[at] = value if within_quotes else json.dumps(value)
    return "".join(parts)


class Pipe:
    """The pipe of a deployed template."""

    def __init__(self, stack):
        template = yaml.safe_load((ROOT / ".aws-sam" / "build" / "template.yaml").read_text())
        self.properties = template["Resources"]["EventPipe"]["Properties"]
        text, values = self.properties["TargetParameters"]["InputTemplate"]["Fn::Sub"]
        if list(values) != ["Source"]:
            raise Failed(f"the pipe's template has values that this test does not know: {list(values)}")
        self.text = text.replace("${Source}", stack.outputs["Url"])
        self.last = {}
        self.bus = stack.outputs["EventBusName"]
        self.streams, self.events = stack.aws("dynamodbstreams"), stack.aws("events")
        stream = stack.aws("dynamodb").describe_table(TableName=stack.outputs["TableName"])["Table"]["LatestStreamArn"]
        (shard, *_) = self.streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
        start = self.properties["SourceParameters"]["DynamoDBStreamParameters"]["StartingPosition"]
        asked = {"StreamArn": stream, "ShardId": shard["ShardId"], "ShardIteratorType": start}
        self.iterator = self.streams.get_shard_iterator(**asked)["ShardIterator"]

    def carry(self):
        """Everything that is new in the stream; how many events went to the bus."""
        filters = [json.loads(one["Pattern"]) for one in self.properties["SourceParameters"]["FilterCriteria"]["Filters"]]
        to = self.properties["TargetParameters"]["EventBridgeEventBusParameters"]
        carried = 0
        while True:
            page = self.streams.get_records(ShardIterator=self.iterator, Limit=1000)
            self.iterator = page["NextShardIterator"]
            for record in page["Records"]:
                if any(fits(pattern, record) for pattern in filters):
                    keys = record["dynamodb"]["Keys"]
                    if keys["sk"]["S"] <= self.last.get(keys["pk"]["S"], ""):
                        raise Failed(f"the event {keys} comes after {self.last}")
                    self.last[keys["pk"]["S"]] = keys["sk"]["S"]
                    self.put(record, to)
                    carried += 1
            if not page["Records"]:
                return carried

    def put(self, record, to):
        detail = filled(self.text, record)
        json.loads(detail)
        entry = {
            "EventBusName": self.bus,
            "Source": to["Source"],
            "DetailType": value_at(record, to["DetailType"]),
            "Detail": detail,
        }
        put = self.events.put_events(Entries=[entry])
        if put["FailedEntryCount"]:
            raise Failed(f"the bus did not take {entry}: {put['Entries']}")
