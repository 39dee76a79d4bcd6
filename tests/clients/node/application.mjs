// An application that signs people in with `openid-client`, and hears of their logouts.

import { createServer } from 'node:http';

import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as openid from 'openid-client';

import { assert, within5Seconds } from '../common/report.mjs';
import { ISSUER, application } from '../common/rollcall.mjs';

const SCOPE = 'openid profile email offline_access';

export class Application {
  callback = 'http://localhost:9/callback';
  afterLogout = 'http://localhost:9/signed-out';
  #logoutTokens = [];

  /** Registers it, and reads Rollcall's discovery document. `authenticate`: how it shows its secret; none for a public client. */
  async start(name, authenticate) {
    const inbox = createServer((request, answer) => this.#take(request, answer));
    await new Promise((resolve) => inbox.listen(0, '127.0.0.1', resolve));
    const registered = await application({
      name,
      public: authenticate === undefined,
      redirect_uris: [this.callback],
      post_logout_redirect_uris: [this.afterLogout],
      backchannel_logout_uri: `http://127.0.0.1:${inbox.address().port}/logout`,
    });
    this.id = registered.id;
    const how = authenticate === undefined ? openid.None() : authenticate(registered.secret);
    this.config = await openid.discovery(new URL(ISSUER), this.id, undefined, how, {
      execute: [openid.allowInsecureRequests],
    });
    // Signatures of ID tokens are checked although they come from the token endpoint itself.
    openid.enableNonRepudiationChecks(this.config);
    this.keys = createRemoteJWKSet(new URL(this.config.serverMetadata().jwks_uri));
    return this;
  }

  async #take(request, answer) {
    const chunks = await request.toArray();
    this.#logoutTokens.push(new URLSearchParams(Buffer.concat(chunks).toString()).get('logout_token'));
    answer.end();
  }

  /** What the browser is sent to Rollcall with, and what to check the answer against. */
  async request(more = {}) {
    const checks = {
      pkceCodeVerifier: openid.randomPKCECodeVerifier(),
      expectedState: openid.randomState(),
      expectedNonce: openid.randomNonce(),
      idTokenExpected: true,
    };
    if (more.max_age !== undefined) checks.maxAge = Number(more.max_age);
    const url = openid.buildAuthorizationUrl(this.config, {
      redirect_uri: this.callback,
      scope: SCOPE,
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      code_challenge: await openid.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
      code_challenge_method: 'S256',
      ...more,
    });
    return { url, checks };
  }

  /** Redeems the code that the browser came back with. All of OpenID Connect Core 1.0 §3.1.3.7 is checked. */
  async redeem(came, checks) {
    return openid.authorizationCodeGrant(this.config, came, checks);
  }

  /** Sends a browser where somebody is signed in, and redeems what it comes back with. */
  async silently(browser) {
    const { url, checks } = await this.request({ prompt: 'none' });
    const page = await browser.visit(url, { stopAt: this.callback });
    return this.redeem(page.url, checks);
  }

  refresh(tokens) {
    return openid.refreshTokenGrant(this.config, tokens.refresh_token);
  }

  introspect(token) {
    return openid.tokenIntrospection(this.config, token);
  }

  userinfo(tokens) {
    return openid.fetchUserInfo(this.config, tokens.access_token, tokens.claims().sub);
  }

  /** That nothing of what somebody was given is worth anything any more. */
  async refusesAll(tokens, browser) {
    await refusedWith(this.userinfo(tokens), (error) => error.cause?.[0]?.parameters?.error, 'invalid_token');
    await refusedWith(this.refresh(tokens), (error) => error.error, 'invalid_grant');
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      // Nothing but `active`: RFC 7662 §2.2.
      assert.deepEqual(await this.introspect(token), { active: false });
    }
    await refusedWith(this.silently(browser), (error) => error.error, 'login_required');
  }

  /** Waits for the logout token about somebody's session, and checks it as OpenID Connect Back-Channel Logout 1.0 §2.6 asks. */
  async hearsOfLogout(tokens) {
    const { sub, sid } = tokens.claims();
    await within5Seconds(async () => {
      for (const token of this.#logoutTokens) {
        const { payload, protectedHeader } = await jwtVerify(token, this.keys, {
          issuer: ISSUER,
          audience: this.id,
          typ: 'logout+jwt',
          requiredClaims: ['iat', 'exp', 'jti'],
        });
        assert.equal(protectedHeader.alg, 'ES256');
        assert.deepEqual(payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} });
        assert.equal(payload.nonce, undefined);
        if (payload.sub === sub && (payload.sid === undefined || payload.sid === sid)) return;
      }
      throw new Error(`no logout token about ${sub} has come`);
    });
  }
}

/** That something is refused with this error of OAuth, and with nothing else. */
export async function refusedWith(attempt, error, expected) {
  let refusal;
  try {
    await attempt;
  } catch (caught) {
    refusal = caught;
  }
  assert.ok(refusal, `it was not refused with ${expected}`);
  assert.equal(error(refusal), expected, refusal.stack);
}
