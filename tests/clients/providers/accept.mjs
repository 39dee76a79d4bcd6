// People who were invited come in by Google and by Microsoft, both played by `oidc-provider`; nobody comes in by a token that is not
// theirs, not for Rollcall, or not of this login.

import * as openid from 'openid-client';

import { Browser } from '../common/browser.mjs';
import { assert, program } from '../common/report.mjs';
import { ISSUER, admin, invite, lastDenial, members, setState, workspace } from '../common/rollcall.mjs';
import { Application } from '../node/application.mjs';
import { IdentityProvider, signedByAStranger, signedWithTheSecret, unsigned } from './provider.mjs';

const TENANT = process.env.MICROSOFT_TENANT;

const AT_GOOGLE = {
  greta: { sub: '110248495921238986420', name: 'Greta Olsen', email: 'greta@partner.example', email_verified: true },
  stranger: { sub: '110169484474386276334', name: 'Greta Olsen', email: 'greta@elsewhere.example', email_verified: true },
  // Says Greta's address, which nobody has verified.
  pretender: { sub: '110555555555555555555', name: 'Greta Olsen', email: 'greta@partner.example', email_verified: false },
};

const AT_MICROSOFT = {
  mona: {
    sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
    tid: TENANT,
    oid: '690222be-ff1a-4d56-abd1-7e4f7d38e474',
    name: 'Mona Haugen',
    email: 'mona@supplier.example',
    xms_edov: true,
  },
  // Somebody whose admin has typed Mona's address: the owner of its domain does not vouch for it.
  pretender: {
    sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaR',
    tid: TENANT,
    oid: '3f1c7a54-0d3b-4f0e-9f57-7c1c4f2f8a11',
    name: 'Mona Haugen',
    email: 'mona@supplier.example',
  },
};

const set = (changes) => ({ claims: (payload) => Object.assign(payload, changes) });
const drop = (...names) => ({ claims: (payload) => names.forEach((name) => delete payload[name]) });

/** One wrong thing, in words, and the check of Rollcall's that has to refuse it. */
const FORGERIES = [
  ['is for another application', 'id_token.aud', set({ aud: 'another-application' })],
  ['is for another application as well', 'id_token.aud', { claims: (payload) => (payload.aud = [payload.aud, 'another-application']) }],
  ['was issued to another application', 'id_token.azp', set({ azp: 'another-application' })],
  ['carries the nonce of another login', 'id_token.nonce', set({ nonce: 'another-login-of-somebody-else' })],
  ['carries no nonce', 'id_token.nonce.missing', drop('nonce')],
  ['comes from another issuer', 'id_token.iss', set({ iss: 'https://accounts.evil.example' })],
  ['has ended', 'id_token.exp', { claims: (payload) => (payload.exp = payload.iat - 61) }],
  ['ends at a time that is a text', 'id_token.exp.missing', { claims: (payload) => (payload.exp = String(payload.exp)) }],
  ['does not say when it was issued', 'id_token.iat.missing', drop('iat')],
  ['was issued in the future', 'id_token.iat', { claims: (payload) => (payload.iat += 3600) }],
  ['belongs to another access token', 'id_token.at_hash', set({ at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' })],
  ['names nobody', 'id_token.sub', drop('sub')],
  ['is signed by nobody', 'id_token.alg', { sign: unsigned }],
  ['is signed with the client’s secret', 'id_token.alg', { sign: signedWithTheSecret }],
  ['is signed by a stranger', 'id_token.signature', { sign: signedByAStranger }],
  ['names a key that is not there', 'id_token.kid.unknown', { header: (header) => (header.kid = 'another') }],
  ['is a logout token', 'id_token.typ', { header: (header) => (header.typ = 'logout+jwt') }],
  ['is an access token', 'id_token.typ', { header: (header) => (header.typ = 'at+jwt') }],
];

const FORGERIES_AT_GOOGLE = [
  ['says "true" for true', 'id_token.email_verified', set({ email_verified: 'true' })],
  ['says nothing about the address being verified', 'invite.identity', drop('email_verified')],
];

const FORGERIES_AT_MICROSOFT = [
  ['is of another tenant', 'id_token.iss', set({ tid: '9188040d-6c67-4c5b-b112-36a304b66dad' })],
  ['names no tenant', 'id_token.tid', drop('tid')],
  ['names no account', 'id_token.oid', drop('oid')],
  ['says "true" for a verified domain', 'invite.identity', set({ xms_edov: 'true' })],
  ['says 1 for a verified domain', 'invite.identity', set({ xms_edov: 1 })],
  ['says email_verified, which Microsoft does not', 'invite.identity', { claims: (payload) => { delete payload.xms_edov; payload.email_verified = true; } }],
];

/** Goes through the provider's own pages, until the browser would be sent back to Rollcall or is shown something else. */
async function throughProvider(browser, page, person, stopAt) {
  const filled = { login: { login: person.sub, password: 'whatever' }, consent: {} };
  for (let pages = 0; pages < 4 && page.status === 200; pages += 1) {
    const form = page.forms.find(({ fields }) => fields.prompt in filled);
    if (!form) break;
    page = await browser.submit(form, filled[form.fields.prompt], { stopAt });
  }
  return page;
}

/** Opens an invite, and chooses a provider: the provider's first page. */
async function openInvite(browser, code, provider) {
  const opened = await browser.visit(`${ISSUER}/invite`);
  const choice = await browser.submit(opened.forms[0], { token: code });
  assert.match(choice.heading, /^Join /);
  const form = choice.forms.find(({ fields }) => fields.provider === provider);
  assert.ok(form, `the invite can be accepted with ${provider}`);
  return browser.submit(form);
}

async function accept(browser, code, provider, person) {
  return throughProvider(browser, await openInvite(browser, code, provider), person);
}

/** That the browser is where somebody comes to who is not let in: an error page, no session, and the audit trail says why. */
async function refused(browser, page, check) {
  assert.ok(page.status >= 400, `status ${page.status}: ${page.heading}`);
  assert.equal(await lastDenial(), check);
  const login = await browser.visit(`${ISSUER}/login`);
  assert.match(login.heading, /^Sign in/, 'nobody is signed in');
}

async function provider(step, acme, { kind, name, authentication, people, invited, forgeries, pretenders, subject }) {
  const callback = `/callback/${kind}`;
  const env = (suffix) => process.env[`${kind.toUpperCase()}_${suffix}`];
  const idp = await new IdentityProvider().start({
    issuer: process.env[`ROLLCALL_${kind.toUpperCase()}_ISSUER`],
    clientId: env('CLIENT_ID'),
    clientSecret: env('CLIENT_SECRET'),
    callback,
    people: Object.values(people),
    authentication,
  });
  const before = (await members(acme)).length;
  const { name: displayName, email } = invited;
  const { code, id } = await invite(acme, { email, providers: [kind] });

  for (const [what, check, forgery] of forgeries) {
    await step(`${name}: an ID token is refused that ${what}`, async () => {
      idp.forge(forgery);
      const browser = new Browser();
      await refused(browser, await accept(browser, code, kind, invited), check);
      idp.forge(undefined);
    });
  }

  for (const [what, person] of pretenders) {
    await step(`${name}: the invite is refused to ${what}`, async () => {
      const browser = new Browser();
      await refused(browser, await accept(browser, code, kind, person), 'invite.identity');
    });
  }

  await step(`${name}: an answer is refused that names no issuer, or another one (RFC 9207)`, async () => {
    for (const [change, check] of [
      [(query) => query.delete('iss'), 'callback.issuer.missing'],
      [(query) => query.set('iss', 'https://accounts.evil.example'), 'callback.issuer'],
    ]) {
      const browser = new Browser();
      const first = await openInvite(browser, code, kind);
      const back = await throughProvider(browser, first, invited, `${ISSUER}${callback}`);
      change(back.url.searchParams);
      await refused(browser, await browser.visit(back.url), check);
    }
  });

  await step(`${name}: none of these made a member or used up the invite`, async () => {
    assert.equal((await members(acme)).length, before);
    const { status } = await admin('GET', `/v1/workspaces/${acme}/invites/${id}`);
    assert.equal(status, 'pending');
  });

  const member = await step(`${name}: ${displayName} accepts the invite and is a member`, async () => {
    const browser = new Browser();
    const first = await openInvite(browser, code, kind);
    const back = await throughProvider(browser, first, invited, `${ISSUER}${callback}`);
    assert.equal(back.status, 0, `the browser came to the page "${back.heading}"`);
    const page = await browser.visit(back.url);
    assert.equal(page.heading, 'You are signed in');

    const found = (await members(acme)).find((other) => other.display_name === displayName);
    assert.deepEqual([found.state, found.origin, found.email], ['active', 'invite', email]);
    assert.deepEqual(found.identities.map((identity) => [identity.provider, identity.subject]), [[kind, subject]]);

    // The same answer once more, in the same browser.
    const again = await browser.visit(back.url);
    assert.ok(again.status >= 400, again.heading);
    return found.id;
  });

  await step(`${name}: the same link lets nobody in a second time`, async () => {
    const browser = new Browser();
    const opened = await browser.visit(`${ISSUER}/invite`);
    const page = await browser.submit(opened.forms[0], { token: code });
    assert.ok(page.status >= 400, page.heading);
    assert.equal((await members(acme)).length, before + 1);
  });

  const app = await new Application().start(`${name} to application`, openid.ClientSecretBasic);
  const signIn = async (browser) => {
    const request = await app.request();
    const choice = await browser.visit(request.url);
    const first = await browser.visit(choice.link(`Continue with ${name}`));
    return { request, page: await throughProvider(browser, first, invited, app.callback) };
  };

  const theirs = new Browser();
  const tokens = await step(`${name}: ${displayName} signs in to an application`, async () => {
    const { request, page } = await signIn(theirs);
    const given = await app.redeem(page.url, request.checks);
    const { sub, idp: by, email: told } = given.claims();
    assert.deepEqual([sub, by, told], [member, kind, email]);
    return given;
  });

  await step(`${name}: once disabled, ${displayName} is refused everywhere`, async () => {
    await setState(acme, member, 'disabled');
    await app.refusesAll(tokens, theirs);
    const { page } = await signIn(new Browser());
    assert.match(page.heading, /^You cannot use/);
  });
}

await program('oidc-provider', async (step) => {
  const acme = await workspace();
  await provider(step, acme, {
    kind: 'google',
    name: 'Google',
    authentication: 'client_secret_post',
    people: AT_GOOGLE,
    invited: AT_GOOGLE.greta,
    forgeries: [...FORGERIES, ...FORGERIES_AT_GOOGLE],
    pretenders: [
      ['somebody with another address', AT_GOOGLE.stranger],
      ['somebody who has not verified the address', AT_GOOGLE.pretender],
    ],
    subject: AT_GOOGLE.greta.sub,
  });
  await provider(step, acme, {
    kind: 'microsoft',
    name: 'Microsoft',
    authentication: 'client_secret_basic',
    people: AT_MICROSOFT,
    invited: AT_MICROSOFT.mona,
    forgeries: [...FORGERIES, ...FORGERIES_AT_MICROSOFT],
    pretenders: [['somebody whose domain does not vouch for the address', AT_MICROSOFT.pretender]],
    subject: `${TENANT}/${AT_MICROSOFT.mona.oid}`,
  });
});
