// The admin's side: applications, members, invites and syncs by the admin API, and who is in the stand-in Bitbucket.

import { assert } from './report.mjs';

function needed(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: start this by tests/clients/run`);
  return value;
}

export const ISSUER = needed('ROLLCALL_URL');
const TOKEN = needed('ROLLCALL_TOKEN');
const BITBUCKET = needed('ROLLCALL_BITBUCKET_URL');

/** Calls the admin API. */
export async function admin(method, path, body) {
  const answer = await fetch(`${ISSUER}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path} answered ${answer.status}: ${text}`);
  return text === '' ? null : JSON.parse(text);
}

/** The workspace that the stack was started with. */
export async function workspace() {
  const { items } = await admin('GET', '/v1/workspaces');
  assert.equal(items.length, 1, 'there is one workspace');
  return items[0].id;
}

/** Registers an application: its id and secret. */
export async function application(registration) {
  const { id, client_secret: secret } = await admin('POST', '/v1/clients', registration);
  return { id, secret };
}

/** All members, as the admin API shows them. */
export async function members(workspace) {
  const found = [];
  let cursor = '';
  do {
    const page = await admin('GET', `/v1/workspaces/${workspace}/members?limit=100${cursor}`);
    found.push(...page.items);
    cursor = page.next === null ? '' : `&cursor=${encodeURIComponent(page.next)}`;
  } while (cursor !== '');
  return found;
}

/** What an admin decides: `disabled` or `active`. */
export async function setState(workspace, member, state) {
  await admin('PATCH', `/v1/workspaces/${workspace}/members/${member}`, { state });
}

/** Issues an invite: its code, which is what its link has after the `#`, and its id. */
export async function invite(workspace, invited) {
  const { items } = await admin('POST', `/v1/workspaces/${workspace}/invites`, { invites: [invited] });
  assert.equal(items[0].status, 'issued', JSON.stringify(items[0].problem));
  return { code: new URL(items[0].link).hash.slice(1), id: items[0].invite.id };
}

/** Somebody leaves the stand-in's workspace. */
export async function leaveBitbucket(username) {
  const answer = await fetch(`${BITBUCKET}/_control/people/${username}`, { method: 'DELETE' });
  assert.ok(answer.ok, `the stand-in answered ${answer.status}`);
}

/** Syncs, and waits until it is done. */
export async function sync(workspace) {
  const { id } = await admin('POST', `/v1/workspaces/${workspace}/sync-runs`, { mode: 'apply' });
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    const run = await admin('GET', `/v1/workspaces/${workspace}/sync-runs/${id}`);
    if (run.ended_at !== null) {
      assert.equal(run.state, 'applied', run.message);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the sync did not end within a minute');
}

const seen = new Set();

/** The check that the newest denied sign-in failed, as the audit trail tells it. Each denial is told once. */
export async function lastDenial() {
  const { items } = await admin('GET', '/v1/audit?limit=20');
  const denial = items.find((entry) => entry.action === 'sign_in.denied');
  assert.ok(denial && !seen.has(denial.id), 'no denial was written down');
  seen.add(denial.id);
  return denial.detail.check;
}
