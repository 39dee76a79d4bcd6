#!/usr/bin/env node
// Sign-in with Bitbucket as most would write it for Lambda in Node.js: the AWS SDK v3 and fetch. It makes the calls that Rollcall's
// callback makes for an owner of the workspace, and less besides: no audit trail, no rate per account, no encryption of the cookie.
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { DynamoDBClient, GetItemCommand, PutItemCommand, TransactWriteItemsCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { serve } from "./runtime.mjs";

const { ROLLCALL_TABLE, ROLLCALL_SECRET_ID, ROLLCALL_PUBLIC_URL, ROLLCALL_BITBUCKET_URL, ROLLCALL_BITBUCKET_API_URL } = process.env;
const table = new DynamoDBClient({ endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB });
const secrets = new SecretsManagerClient({ endpoint: process.env.AWS_ENDPOINT_URL });
const COOKIE = "__Host-login";
const s = (text) => ({ S: String(text) });
const n = (number) => ({ N: String(number) });
const now = () => Math.floor(Date.now() / 1000);

// Read at start, once for every environment.
const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: ROLLCALL_SECRET_ID }));
const secret = JSON.parse(SecretString);
const client = secret.providers.bitbucket;
const key = Buffer.from(secret.sealing_keys[0].key, "base64");
const sign = (text) => createHmac("sha256", key).update(text).digest("base64url");

async function login(event) {
  const state = randomBytes(16).toString("base64url");
  const to = new URL("/site/oauth2/authorize", ROLLCALL_BITBUCKET_URL);
  const query = { client_id: client.client_id, response_type: "code", state, redirect_uri: `${ROLLCALL_PUBLIC_URL}/callback/bitbucket` };
  to.search = new URLSearchParams(query);
  const login = `${state}.${event.queryStringParameters.workspace}.${now() + 600}`;
  return { statusCode: 303, headers: { location: to.href }, cookies: [`${COOKIE}=${login}.${sign(login)}; Path=/; Secure; HttpOnly; SameSite=Lax`] };
}

async function callback(event) {
  const { code, state } = event.queryStringParameters;
  const cookie = event.cookies?.find((cookie) => cookie.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1) ?? "";
  const [expected, workspace, until, mac] = cookie.split(".");
  const right = Buffer.from(sign(`${expected}.${workspace}.${until}`));
  if (mac?.length !== right.length || !timingSafeEqual(Buffer.from(mac), right)) return page(400, "This sign-in has ended.");
  if (state !== expected || Number(until) < now()) return page(400, "This sign-in has ended.");
  await Promise.all([count(event.requestContext.http.sourceIp), useUp(state)]);

  const [token, connection] = await Promise.all([redeem(code), get("connection", workspace)]);
  const bitbucket = connection.uuid.S;
  const [user, emails, standing] = await Promise.all([
    ask(token, "/2.0/user"),
    ask(token, "/2.0/user/emails"),
    ask(token, `/2.0/user/workspaces/${encodeURIComponent(bitbucket)}/permission`),
  ]);
  if (standing.permission !== "owner") return page(403, "You cannot use this application yet.");
  const member = (await get("member", user.uuid)) ?? { id: s(randomBytes(10).toString("hex")) };
  const session = randomBytes(16).toString("base64url");
  await enter(user, emails, member, session);
  return { statusCode: 303, headers: { location: "/" }, cookies: [`__Host-session=${session}; Path=/; Secure; HttpOnly; SameSite=Lax`] };
}

async function redeem(code) {
  const answer = await fetch(`${ROLLCALL_BITBUCKET_URL}/site/oauth2/access_token`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64")}` },
    body: new URLSearchParams({ grant_type: "authorization_code", code, redirect_uri: `${ROLLCALL_PUBLIC_URL}/callback/bitbucket` }),
  });
  if (!answer.ok) throw new Error(`the code was refused: ${answer.status}`);
  return (await answer.json()).access_token;
}

async function ask(token, path) {
  const answer = await fetch(ROLLCALL_BITBUCKET_API_URL + path, { headers: { authorization: `Bearer ${token}` } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function get(kind, id) {
  const request = { TableName: ROLLCALL_TABLE, Key: { pk: s(`node#${kind}`), sk: s(id) }, ConsistentRead: true };
  return (await table.send(new GetItemCommand(request))).Item;
}

async function count(address) {
  const update = { TableName: ROLLCALL_TABLE, Key: { pk: s("node#rate"), sk: s(`${address}#${Math.floor(now() / 60)}`) } };
  await table.send(new UpdateItemCommand({ ...update, UpdateExpression: "ADD attempts :one", ExpressionAttributeValues: { ":one": n(1) } }));
}

async function useUp(state) {
  const Item = { pk: s("node#state"), sk: s(state), expires: n(now() + 600) };
  await table.send(new PutItemCommand({ TableName: ROLLCALL_TABLE, Item, ConditionExpression: "attribute_not_exists(pk)" }));
}

async function enter(user, emails, member, session) {
  const confirmed = emails.values.filter((email) => email.is_confirmed).map((email) => email.email);
  const hash = createHash("sha256").update(session).digest("hex");
  const items = [
    { pk: s("node#member"), sk: s(user.uuid), id: member.id, name: s(user.display_name), email: s(confirmed[0] ?? ""), signed_in: n(now()) },
    { pk: s("node#session"), sk: s(hash), member: member.id, expires: n(now() + 86400) },
  ];
  await table.send(new TransactWriteItemsCommand({ TransactItems: items.map((Item) => ({ Put: { TableName: ROLLCALL_TABLE, Item } })) }));
}

function page(statusCode, text) {
  return { statusCode, headers: { "content-type": "text/html" }, body: `<!doctype html><p>${text}</p>` };
}

await serve(async (event) => {
  const answer = event.rawPath.startsWith("/login") ? await login(event) : await callback(event);
  console.log(JSON.stringify({ path: event.rawPath, status: answer.statusCode }));
  return answer;
});
