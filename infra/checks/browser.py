"""Somebody's browser, and the admin's side: requests to the HTTP API under its public address, which the emulator answers."""

import html
import json
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid

from stack import Failed

MOST_REDIRECTS = 12


class NotFollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NotFollowed)


class Answer:
    def __init__(self, url, status, headers, text):
        self.url, self.status, self.headers, self.text = url, status, headers, text

    def heading(self):
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text, re.S)
        return html.unescape(found[1]).strip() if found else ""

    def link(self, begins):
        for attributes, shown in re.findall(r"<a ([^>]*)>(.*?)</a>", self.text, re.S):
            if html.unescape(re.sub(r"<[^>]+>", "", shown)).strip().startswith(begins):
                return urllib.parse.urljoin(self.url, html.unescape(re.search(r'href="([^"]*)"', attributes)[1]))
        raise Failed(f"no link {begins} on the page {self.heading()!r} at {self.url.split('?')[0]}")

    def form(self, action):
        for attributes, body in re.findall(r"<form([^>]*)>(.*?)</form>", self.text, re.S):
            if f'action="{action}"' in attributes:
                fields = re.findall(r'<(?:input|button)[^>]*?name="([^"]*)"[^>]*?value="([^"]*)"', body)
                return {name: html.unescape(value) for name, value in fields}
        raise Failed(f"no form for {action} on the page {self.heading()!r}")


class Browser:
    """Keeps cookies, follows redirects."""

    def __init__(self, stack):
        self.stack, self.cookies = stack, {}
        self.issuer = stack.outputs["Url"]

    def send(self, method, url, body=None, headers=None):
        """One request, and no redirect."""
        parts = urllib.parse.urlsplit(url)
        headers = {"accept": "text/html,*/*;q=0.8", **(headers or {})}
        if url.startswith(self.issuer + "/"):
            # The API's own name is AWS's to resolve.
            port = urllib.parse.urlsplit(self.stack.endpoint).port
            headers["host"] = f"{self.stack.ids['Api']}.execute-api.localhost:{port}"
            url = self.stack.endpoint + url.removeprefix(self.issuer)
        jar = self.cookies.setdefault(parts.netloc, {})
        if jar:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        try:
            answer = OPENER.open(request, timeout=40)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            for cookie in answer.headers.get_all("set-cookie") or []:
                name, _, value = cookie.split(";")[0].partition("=")
                if re.search(r";\s*max-age=0\b", cookie, re.I):
                    jar.pop(name, None)
                else:
                    jar[name] = value
            return Answer(parts.geturl(), answer.status, answer.headers, answer.read().decode())

    def visit(self, url, stop_at=None):
        """Goes to an address and wherever it leads. A redirect to `stop_at` is not followed: nobody is behind it."""
        return self.follow(self.send("GET", url), stop_at)

    def submit(self, url, fields, stop_at=None):
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": self.issuer,
            "sec-fetch-site": "same-origin",
        }
        return self.follow(self.send("POST", url, urllib.parse.urlencode(fields).encode(), headers), stop_at)

    def follow(self, answer, stop_at):
        for _ in range(MOST_REDIRECTS):
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            url = urllib.parse.urljoin(answer.url, answer.headers["location"])
            if stop_at is not None and url.split("?")[0] == stop_at:
                return Answer(url, 0, {}, "")
            answer = self.send("GET", url)
        raise Failed("the redirects have no end")


class Caller:
    """Calls the HTTP API with a token."""

    def __init__(self, stack, token):
        self.browser, self.token = Browser(stack), token

    def __call__(self, method, path, body=None, expect=(200, 201, 202, 204), **headers):
        headers = {"authorization": f"Bearer {self.token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = None
        if isinstance(body, str):
            data, headers["content-type"] = body.encode(), "application/x-www-form-urlencoded"
        elif body is not None:
            data, headers["content-type"] = json.dumps(body).encode(), "application/json"
        if method == "POST" and path.startswith("/v1/"):
            headers.setdefault("idempotency-key", str(uuid.uuid4()))
        answer = self.browser.send(method, self.browser.issuer + path, data, headers)
        if answer.status not in expect:
            raise Failed(f"{method} {path} was answered {answer.status}: {answer.text[:400]}")
        self.etag = answer.headers.get("etag")
        return json.loads(answer.text) if answer.text.startswith(("{", "[")) else answer.text
