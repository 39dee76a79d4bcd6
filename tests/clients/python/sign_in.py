"""An application with Flask and Authlib: it signs people in by Rollcall's discovery document, and is refused when they are out."""

import os
import sys
import time
import traceback
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask, jsonify, url_for

from browser import Browser

ISSUER = os.environ["ROLLCALL_URL"]
HOME = "http://localhost:9"
CALLBACK = f"{HOME}/callback"
SIGNED_OUT = f"{HOME}/signed-out"


def admin(method, path, body=None):
    """Calls the admin API."""
    answer = requests.request(
        method, ISSUER + path, json=body, headers={"Authorization": f"Bearer {os.environ['ROLLCALL_TOKEN']}"}, timeout=20
    )
    assert answer.ok, f"{method} {path} answered {answer.status_code}: {answer.text}"
    return answer.json()


def application(client):
    """As an application is written: two routes, and Authlib does the rest."""
    app = Flask(__name__)
    app.secret_key = os.urandom(16)
    oauth = OAuth(app)
    oauth.register(
        "rollcall",
        client_id=client["id"],
        client_secret=client["client_secret"],
        server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email offline_access", "code_challenge_method": "S256"},
    )

    @app.get("/login")
    def login():
        return oauth.rollcall.authorize_redirect(url_for("callback", _external=True))

    @app.get("/callback")
    def callback():
        try:
            token = oauth.rollcall.authorize_access_token()
        except OAuthError as error:
            return jsonify(error=error.error), 400
        return jsonify(dict(token))

    @app.get("/logout/<id_token>")
    def logout(id_token):
        return oauth.rollcall.logout_redirect(post_logout_redirect_uri=SIGNED_OUT, id_token_hint=id_token)

    return app.test_client(), oauth.rollcall.load_server_metadata()


class Told:
    """One line for each thing that was looked at; the first that does not hold ends the program."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        print(f"  {'FAIL' if error else 'ok  '}  authlib: {self.what}", flush=True)


def path_of(url):
    """What the application's server sees of an address of its own."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def came_back(app, browser, name):
    """Somebody opens the application, and signs in with Bitbucket: where their browser is sent then."""
    start = app.get("/login", base_url=HOME)
    request = parse_qs(urlsplit(start.location).query)
    assert request["code_challenge_method"] == ["S256"] and request["nonce"] and request["state"], request
    page = browser.visit(start.location, stop_at=CALLBACK)
    if page.status == 0:
        return page
    consent = browser.visit(page.link("Continue with Bitbucket"))
    return browser.visit(consent.link(name), stop_at=CALLBACK)


def sign_in(app, browser, name):
    page = came_back(app, browser, name)
    assert page.status == 0, f'the browser came to the page "{page.heading}" instead of the application'
    answer = app.get(path_of(page.url), base_url=HOME)
    assert answer.status_code == 200, answer.json
    return answer.json


def refused(attempt, error):
    """That Rollcall refuses with this error of OAuth."""
    try:
        attempt()
    except OAuthError as refusal:
        assert refusal.error == error, refusal
    else:
        raise AssertionError(f"it was not refused with {error}")


def main():
    workspace = admin("GET", "/v1/workspaces")["items"][0]["id"]
    client = admin(
        "POST",
        "/v1/clients",
        {"name": "Python application", "redirect_uris": [CALLBACK], "post_logout_redirect_uris": [SIGNED_OUT]},
    )
    browser = Browser()

    with Told("reads the discovery document"):
        app, metadata = application(client)
        assert metadata["issuer"] == ISSUER

    session = OAuth2Session(client["id"], client["client_secret"])

    def refresh(token):
        return session.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])

    def introspect(token):
        return session.introspect_token(metadata["introspection_endpoint"], token=token).json()

    def userinfo(token):
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        return requests.get(metadata["userinfo_endpoint"], headers=bearer, timeout=20)

    def refuses_all(token):
        assert userinfo(token).status_code == 401
        assert introspect(token["access_token"]) == introspect(token["refresh_token"]) == {"active": False}
        refused(lambda: refresh(token), "invalid_grant")

    with Told("signs in with a code, PKCE S256, state and nonce, and finds the ID token sound"):
        token = sign_in(app, browser, "Hanna Korhonen")
        claims = token["userinfo"]
        assert claims["iss"] == ISSUER and claims["aud"] == client["id"], claims
        assert (claims["workspace"], claims["role"], claims["idp"]) == (workspace, "member", "bitbucket"), claims
        assert (claims["name"], claims["email"], claims["email_verified"]) == ("Hanna Korhonen", "hanna@fernweh.example", True)

    with Told("reads userinfo, of the same person"):
        info = userinfo(token).json()
        assert (info["sub"], info["workspace"]) == (claims["sub"], workspace), info

    with Told("introspects both of its tokens"):
        for one in (token["access_token"], token["refresh_token"]):
            found = introspect(one)
            assert found["active"] is True and found["sub"] == claims["sub"], found

    with Told("refreshes; the old refresh token is refused then, and revokes the new one"):
        newer = refresh(token)
        assert newer["refresh_token"] != token["refresh_token"]
        assert userinfo(newer).status_code == 200
        refused(lambda: refresh(token), "invalid_grant")
        refuses_all(newer)

    with Told("signs in where somebody is signed in already, without a page"):
        token = sign_in(app, browser, "nobody is asked")
        assert token["userinfo"]["sid"] == claims["sid"]

    with Told("revokes, after which nothing of that sign-in is active"):
        answer = session.revoke_token(metadata["revocation_endpoint"], token=token["refresh_token"])
        assert answer.status_code == 200
        refuses_all(token)

    with Told("logs out, and comes back to where it wanted"):
        token = sign_in(app, browser, "nobody is asked")
        start = app.get(f"/logout/{token['id_token']}", base_url=HOME)
        page = browser.visit(start.location, stop_at=SIGNED_OUT)
        assert page.status == 0, f'the browser came to the page "{page.heading}"'
        assert "state=" in page.url
        refuses_all(token)

    with Told("is refused everything of somebody whom an admin disables, within 5 seconds"):
        theirs = Browser()
        token = sign_in(app, theirs, "Imran Siddiqui")
        began = time.monotonic()
        admin("PATCH", f"/v1/workspaces/{workspace}/members/{token['userinfo']['sub']}", {"state": "disabled"})
        refuses_all(token)
        assert time.monotonic() - began < 5
        page = came_back(app, theirs, "Imran Siddiqui")
        assert page.heading.startswith("You cannot use"), page.heading


if __name__ == "__main__":
    try:
        main()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
