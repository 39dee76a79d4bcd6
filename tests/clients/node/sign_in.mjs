// `openid-client` as an application's sign-in: log-in, tokens, logout, and that whoever is out is refused.

import { createHash } from 'node:crypto';

import { decodeProtectedHeader, jwtVerify } from 'jose';
import * as openid from 'openid-client';

import { Browser } from '../common/browser.mjs';
import { assert, program, within5Seconds } from '../common/report.mjs';
import { ISSUER, admin, application, leaveBitbucket, setState, sync, workspace } from '../common/rollcall.mjs';
import { Application, refusedWith } from './application.mjs';

/** Somebody opens the application, signs in with Bitbucket, and comes back with a code. */
async function walk(browser, request, stopAt, name) {
  const choice = await browser.visit(request.url);
  const consent = await browser.visit(choice.link('Continue with Bitbucket'));
  return browser.visit(consent.link(name), { stopAt });
}

async function signIn(app, browser, name, more) {
  const request = await app.request(more);
  const page = await walk(browser, request, app.callback, name);
  assert.equal(page.status, 0, `the browser came to the page "${page.heading}" instead of the application`);
  return app.redeem(page.url, request.checks);
}

const code = (error) => error.error;

await program('openid-client', async (step) => {
  const acme = await workspace();
  const browser = new Browser();

  const app = await step('reads the discovery document', async () => {
    const started = await new Application().start('Node application', openid.ClientSecretBasic);
    assert.ok(started.config.serverMetadata().supportsPKCE());
    return started;
  });

  const first = await step('signs in with a code, PKCE S256, state and nonce', () => signIn(app, browser, 'Amira Haddad'));

  await step('gets an ID token that says who, where and as what', async () => {
    const { payload, protectedHeader } = await jwtVerify(first.id_token, app.keys, { issuer: ISSUER, audience: app.id });
    assert.equal(protectedHeader.alg, 'ES256');
    assert.deepEqual([payload.workspace, payload.role, payload.idp, payload.name], [acme, 'member', 'bitbucket', 'Amira Haddad']);
    assert.deepEqual([payload.email, payload.email_verified], ['amira@fernweh.example', true]);
    assert.match(payload.sub, /^mem_[0-9a-f]{32}$/);
    const half = createHash('sha256').update(first.access_token).digest().subarray(0, 16).toString('base64url');
    assert.equal(payload.at_hash, half);
  });

  await step('gets an access token for itself that lives five minutes', async () => {
    const { payload } = await jwtVerify(first.access_token, app.keys, { issuer: ISSUER, audience: app.id, typ: 'at+jwt' });
    assert.equal(payload.client_id, app.id);
    assert.equal(payload.exp - payload.iat, 300);
    assert.equal(first.expires_in, 300);
    assert.equal(decodeProtectedHeader(first.id_token).typ, 'JWT');
  });

  await step('reads userinfo, of the same person', async () => {
    const info = await app.userinfo(first);
    assert.deepEqual([info.workspace, info.email], [acme, 'amira@fernweh.example']);
    assert.ok(Array.isArray(info.teams) && info.teams.length > 0);
  });

  await step('introspects both of its tokens', async () => {
    for (const token of [first.access_token, first.refresh_token]) {
      const found = await app.introspect(token);
      assert.deepEqual([found.active, found.sub, found.client_id], [true, first.claims().sub, app.id]);
    }
  });

  const second = await step('refreshes, and gets another refresh token', async () => {
    const answer = await app.refresh(first);
    assert.notEqual(answer.refresh_token, first.refresh_token);
    assert.equal(answer.claims().sub, first.claims().sub);
    await app.userinfo(answer);
    return answer;
  });

  await step('is refused with the old refresh token, which revokes the new one as well', async () => {
    await refusedWith(app.refresh(first), code, 'invalid_grant');
    await refusedWith(app.refresh(second), code, 'invalid_grant');
    assert.deepEqual(await app.introspect(second.access_token), { active: false });
    await refusedWith(app.userinfo(second), (error) => error.cause?.[0]?.parameters?.error, 'invalid_token');
  });

  await step('gets a code without a page where somebody is signed in, and login_required where nobody is', async () => {
    const tokens = await app.silently(browser);
    assert.equal(tokens.claims().sid, first.claims().sid);
    await refusedWith(app.silently(new Browser()), code, 'login_required');
  });

  await step('gets a fresh sign-in for prompt=login and for max_age', async () => {
    const before = first.claims();
    for (const more of [{ prompt: 'login' }, { max_age: '0' }]) {
      const again = (await signIn(app, browser, 'Amira Haddad', more)).claims();
      assert.equal(again.sub, before.sub);
      assert.notEqual(again.sid, before.sid);
      assert.ok(again.auth_time >= before.auth_time);
    }
  });

  await step('is refused with a code a second time, which revokes what the first gave', async () => {
    const { url, checks } = await app.request();
    const page = await browser.visit(url, { stopAt: app.callback });
    const tokens = await app.redeem(page.url, checks);
    await refusedWith(app.redeem(page.url, checks), code, 'invalid_grant');
    assert.deepEqual(await app.introspect(tokens.refresh_token), { active: false });
    await refusedWith(app.refresh(tokens), code, 'invalid_grant');
  });

  await step('is refused with the wrong verifier, with another application’s code, and without PKCE', async () => {
    const { url, checks } = await app.request();
    const page = await browser.visit(url, { stopAt: app.callback });
    const wrong = { ...checks, pkceCodeVerifier: openid.randomPKCECodeVerifier() };
    await refusedWith(app.redeem(page.url, wrong), code, 'invalid_grant');

    const other = await new Application().start('Another Node application', openid.ClientSecretBasic);
    const theirs = await app.request();
    const stolen = await browser.visit(theirs.url, { stopAt: app.callback });
    await refusedWith(other.redeem(stolen.url, theirs.checks), code, 'invalid_grant');

    const bare = await app.request();
    for (const name of ['code_challenge', 'code_challenge_method']) bare.url.searchParams.delete(name);
    const told = await browser.visit(bare.url, { stopAt: app.callback });
    await refusedWith(app.redeem(told.url, bare.checks), code, 'invalid_request');
  });

  await step('is not sent anywhere but to what it has registered', async () => {
    const { url } = await app.request({ redirect_uri: `${app.callback}/other` });
    const page = await browser.visit(url);
    assert.equal(page.status, 400);
    assert.equal(page.url.origin, ISSUER);
  });

  await step('revokes, after which nothing of that sign-in is active', async () => {
    const tokens = await app.silently(browser);
    await openid.tokenRevocation(app.config, tokens.refresh_token);
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      assert.deepEqual(await app.introspect(token), { active: false });
    }
    await refusedWith(app.refresh(tokens), code, 'invalid_grant');
    // RFC 7009 §2.2: what is not valid any more is answered like what was.
    await openid.tokenRevocation(app.config, tokens.refresh_token);
  });

  await step('logs out, comes back to where it wanted, and hears of it', async () => {
    const tokens = await app.silently(browser);
    const url = openid.buildEndSessionUrl(app.config, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: app.afterLogout,
      state: 'after & logout',
    });
    const page = await browser.visit(url, { stopAt: app.afterLogout });
    assert.equal(page.status, 0, `the browser came to the page "${page.heading}"`);
    assert.equal(page.url.searchParams.get('state'), 'after & logout');
    await app.refusesAll(tokens, browser);
    await app.hearsOfLogout(tokens);
  });

  await step('does the same with client_secret_post, and without a secret', async () => {
    for (const [name, how] of [['Node application, post', openid.ClientSecretPost], ['Node program', undefined]]) {
      const other = await new Application().start(name, how);
      const tokens = await signIn(other, new Browser(), 'Amira Haddad');
      assert.equal((await other.refresh(tokens)).claims().sub, first.claims().sub);
      // Somebody else's token, at an application of its own.
      assert.deepEqual(await app.introspect(tokens.access_token), { active: false });
    }
  });

  await step('gets a machine’s token, which reads the admin API and changes nothing', async () => {
    const machine = await application({ name: 'Node machine', machine: { reach: { workspace: acme }, access: 'read' } });
    const config = await openid.discovery(new URL(ISSUER), machine.id, machine.secret, undefined, {
      execute: [openid.allowInsecureRequests],
    });
    const { access_token: token } = await openid.clientCredentialsGrant(config);
    const call = (method, path, body) => {
      const headers = new Headers({ 'content-type': 'application/json' });
      return openid.fetchProtectedResource(config, token, new URL(`${ISSUER}${path}`), method, body, headers);
    };
    assert.equal((await call('GET', `/v1/workspaces/${acme}/members`)).status, 200);
    const denied = await call('POST', `/v1/workspaces/${acme}/sync-runs`, '{"mode":"plan"}');
    assert.equal(denied.status, 403);
  });

  const disabled = await step('is refused everything of somebody whom an admin disables, within 5 seconds', async () => {
    const theirs = new Browser();
    const tokens = await signIn(app, theirs, 'Dmitri Volkov');
    const member = tokens.claims().sub;
    await setState(acme, member, 'disabled');
    await within5Seconds(() => app.refusesAll(tokens, theirs));
    const request = await app.request();
    const page = await walk(theirs, request, app.callback, 'Dmitri Volkov');
    assert.match(page.heading, /^You cannot use/);
    return { tokens, theirs, member };
  });

  await step('is told of it by a logout token', () => app.hearsOfLogout(disabled.tokens));

  await step('gets nothing for the old tokens once they are enabled again, and new ones for a new sign-in', async () => {
    const { tokens, theirs, member } = disabled;
    await setState(acme, member, 'active');
    await refusedWith(app.refresh(tokens), code, 'invalid_grant');
    assert.equal((await signIn(app, theirs, 'Dmitri Volkov')).claims().sub, member);
  });

  const left = await step('is refused everything of somebody who has left Bitbucket, within 5 seconds of the sync', async () => {
    const theirs = new Browser();
    const tokens = await signIn(app, theirs, 'Felix Brandt');
    await leaveBitbucket('felix');
    await sync(acme);
    await within5Seconds(() => app.refusesAll(tokens, theirs));
    const { state } = await admin('GET', `/v1/workspaces/${acme}/members/${tokens.claims().sub}`);
    assert.equal(state, 'suspended');
    const request = await app.request();
    const page = await walk(theirs, request, app.callback, 'Felix Brandt');
    assert.match(page.heading, /^You cannot use/);
    return tokens;
  });

  await step('is told of that by a logout token as well', () => app.hearsOfLogout(left));
});
