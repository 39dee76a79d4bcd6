"""The Lambda runtime API, as small as can be (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)."""

import http.client
import json
import os


def serve(handler):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(method, path, body=None):
        connection.request(method, f"/2018-06-01/runtime/invocation/{path}", body)
        answer = connection.getresponse()
        return answer, answer.read()

    while True:
        answer, event = call("GET", "next")
        request = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            call("POST", f"{request}/response", json.dumps(handler(json.loads(event))))
        except Exception as error:
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            call("POST", f"{request}/error", json.dumps(told))
