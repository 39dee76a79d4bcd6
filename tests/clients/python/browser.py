"""As much of a browser as a sign-in needs: it keeps cookies, follows redirects, and finds links."""

from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, ProxyHandler, build_opener

MOST_REDIRECTS = 15


class Links(HTMLParser):
    """The links of a page, each with its text, and the page's heading."""

    def __init__(self, html):
        super().__init__()
        self.links, self.heading, self._open = [], "", None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.links.append([dict(attributes).get("href"), ""])
        if tag in ("a", "h1"):
            self._open = tag

    def handle_endtag(self, tag):
        if tag == self._open:
            self._open = None

    def handle_data(self, data):
        if self._open == "a":
            self.links[-1][1] += data
        elif self._open == "h1":
            self.heading += data


class Page:
    """Where the browser has come to. Status 0: an address that it was told not to open."""

    def __init__(self, url, status, html=""):
        self.url, self.status, self._found = url, status, Links(html)

    @property
    def heading(self):
        return self._found.heading.strip()

    def link(self, text):
        for href, shown in self._found.links:
            if shown.strip().startswith(text):
                return urljoin(self.url, href)
        raise AssertionError(f'there is no link "{text}" on the page "{self.heading}" (status {self.status})')


class NotFollowed(HTTPRedirectHandler):
    """Redirects are followed one by one, to see where they lead."""

    def redirect_request(self, *_):
        return None


class Browser:
    def __init__(self):
        # Browsers keep secure cookies of this machine over plain HTTP.
        cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http")))
        self._opener = build_opener(ProxyHandler({}), NotFollowed, HTTPCookieProcessor(cookies))
        self._opener.addheaders = [("Accept", "text/html,*/*;q=0.8")]

    def visit(self, url, stop_at=None):
        """Goes to an address. A redirect to `stop_at` is not followed: the application's callback has nobody behind it."""
        for _ in range(MOST_REDIRECTS):
            try:
                answer = self._opener.open(url, timeout=20)
            except HTTPError as error:
                answer = error
            with answer:
                if answer.status not in (301, 302, 303, 307, 308):
                    return Page(url, answer.status, answer.read().decode())
                url = urljoin(url, answer.headers["location"])
            if stop_at is not None and url.split("?")[0] == stop_at:
                return Page(url, 0)
        raise AssertionError("the redirects have no end")
