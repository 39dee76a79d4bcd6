#!/usr/bin/env python3
"""Sign-in with Bitbucket as most would write it for Lambda in Python: boto3 and requests. It makes the calls that Rollcall's callback
makes for an owner of the workspace, and less besides: no audit trail, no rate per account, no encryption of the cookie."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from urllib.parse import quote, urlencode

import boto3
import requests

from runtime import serve

TABLE = os.environ["ROLLCALL_TABLE"]
PUBLIC = os.environ["ROLLCALL_PUBLIC_URL"]
BITBUCKET = os.environ["ROLLCALL_BITBUCKET_URL"]
API = os.environ["ROLLCALL_BITBUCKET_API_URL"]
COOKIE = "__Host-login"

http = requests.Session()
dynamodb = boto3.client("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
manager = boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"])

# Read at start, once for every environment.
secret = json.loads(manager.get_secret_value(SecretId=os.environ["ROLLCALL_SECRET_ID"])["SecretString"])
client = secret["providers"]["bitbucket"]
key = base64.b64decode(secret["sealing_keys"][0]["key"])


def sign(text):
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def login(event):
    state = secrets.token_urlsafe(16)
    query = {"client_id": client["client_id"], "response_type": "code", "state": state, "redirect_uri": f"{PUBLIC}/callback/bitbucket"}
    text = f"{state}.{event['queryStringParameters']['workspace']}.{int(time.time()) + 600}"
    cookie = f"{COOKIE}={text}.{sign(text)}; Path=/; Secure; HttpOnly; SameSite=Lax"
    return {"statusCode": 303, "headers": {"location": f"{BITBUCKET}/site/oauth2/authorize?{urlencode(query)}"}, "cookies": [cookie]}


def callback(event):
    query = event["queryStringParameters"]
    cookie = next((c for c in event.get("cookies", []) if c.startswith(f"{COOKIE}=")), "=...")
    state, workspace, until, mac = cookie.split("=", 1)[1].split(".")
    if not hmac.compare_digest(mac, sign(f"{state}.{workspace}.{until}")):
        return page(400, "This sign-in has ended.")
    if query["state"] != state or int(until) < time.time():
        return page(400, "This sign-in has ended.")
    count(event["requestContext"]["http"]["sourceIp"])
    use_up(state)

    connection = get("connection", workspace)
    token = redeem(query["code"])
    user = ask(token, "/2.0/user")
    emails = ask(token, "/2.0/user/emails")
    standing = ask(token, f"/2.0/user/workspaces/{quote(connection['uuid']['S'])}/permission")
    if standing["permission"] != "owner":
        return page(403, "You cannot use this application yet.")
    member = get("member", user["uuid"]) or {"id": {"S": secrets.token_hex(10)}}
    session = secrets.token_urlsafe(16)
    enter(user, emails, member, session)
    cookie = f"__Host-session={session}; Path=/; Secure; HttpOnly; SameSite=Lax"
    return {"statusCode": 303, "headers": {"location": "/"}, "cookies": [cookie]}


def redeem(code):
    answer = http.post(
        f"{BITBUCKET}/site/oauth2/access_token",
        auth=(client["client_id"], client["client_secret"]),
        data={"grant_type": "authorization_code", "code": code, "redirect_uri": f"{PUBLIC}/callback/bitbucket"},
        timeout=10,
    )
    answer.raise_for_status()
    return answer.json()["access_token"]


def ask(token, path):
    answer = http.get(API + path, headers={"authorization": f"Bearer {token}"}, timeout=10)
    answer.raise_for_status()
    return answer.json()


def get(kind, name):
    row = {"pk": {"S": f"python#{kind}"}, "sk": {"S": name}}
    return dynamodb.get_item(TableName=TABLE, Key=row, ConsistentRead=True).get("Item")


def count(address):
    row = {"pk": {"S": "python#rate"}, "sk": {"S": f"{address}#{int(time.time()) // 60}"}}
    one = {":one": {"N": "1"}}
    dynamodb.update_item(TableName=TABLE, Key=row, UpdateExpression="ADD attempts :one", ExpressionAttributeValues=one)


def use_up(state):
    item = {"pk": {"S": "python#state"}, "sk": {"S": state}, "expires": {"N": str(int(time.time()) + 600)}}
    dynamodb.put_item(TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(pk)")


def enter(user, emails, member, session):
    confirmed = [email["email"] for email in emails["values"] if email["is_confirmed"]]
    now = int(time.time())
    items = [
        {
            "pk": {"S": "python#member"},
            "sk": {"S": user["uuid"]},
            "id": member["id"],
            "name": {"S": user["display_name"]},
            "email": {"S": confirmed[0] if confirmed else ""},
            "signed_in": {"N": str(now)},
        },
        {
            "pk": {"S": "python#session"},
            "sk": {"S": hashlib.sha256(session.encode()).hexdigest()},
            "member": member["id"],
            "expires": {"N": str(now + 86400)},
        },
    ]
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE, "Item": item}} for item in items])


def page(status, text):
    return {"statusCode": status, "headers": {"content-type": "text/html"}, "body": f"<!doctype html><p>{text}</p>"}


def handle(event):
    answer = login(event) if event["rawPath"].startswith("/login") else callback(event)
    print(json.dumps({"path": event["rawPath"], "status": answer["statusCode"]}), flush=True)
    return answer


serve(handle)
