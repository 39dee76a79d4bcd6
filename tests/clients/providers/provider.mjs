// `oidc-provider` in the part of Google or Microsoft: its own pages, codes, PKCE and tokens. What it says in an ID token can be changed
// on the way out, signed with its own key: one wrong claim at a time.

import { createServer } from 'node:http';

import { SignJWT, UnsecuredJWT, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose';
import { Provider, interactionPolicy } from 'oidc-provider';

import { ISSUER } from '../common/rollcall.mjs';

export class IdentityProvider {
  /** What the next ID token is made into, or nothing. */
  #forgery;

  /** Starts it at its issuer's address. `people`: their claims; they sign in with their `sub`. */
  async start({ issuer, clientId, clientSecret, callback, people, authentication }) {
    this.clientSecret = clientSecret;
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    this.key = privateKey;
    const jwk = { ...(await exportJWK(privateKey)), kid: 'signing', alg: 'RS256', use: 'sig' };
    // Both know the prompt for choosing an account, and there is one account in a browser of ours: nothing is to be asked.
    const policy = interactionPolicy.base();
    const choose = new interactionPolicy.Prompt({ name: 'select_account', requestable: true });
    choose.checks.clear();
    policy.add(choose);
    const provider = new Provider(issuer, {
      interactions: { policy },
      clients: [
        {
          client_id: clientId,
          client_secret: clientSecret,
          redirect_uris: [`${ISSUER}${callback}`],
          grant_types: ['authorization_code'],
          response_types: ['code'],
          token_endpoint_auth_method: authentication,
        },
      ],
      clientAuthMethods: [authentication],
      claims: {
        openid: ['sub', 'tid', 'oid'],
        profile: ['name', 'hd'],
        email: ['email', 'email_verified', 'xms_edov'],
      },
      // Both say in the ID token itself who somebody is.
      conformIdTokenClaims: false,
      findAccount: (_, sub) => {
        const person = people.find((one) => one.sub === sub);
        return person && { accountId: sub, claims: () => person };
      },
      pkce: { required: () => true },
      jwks: { keys: [jwk] },
      cookies: { keys: [clientSecret] },
      // Its own pages for signing in and for consent.
      features: { devInteractions: { enabled: true } },
      ttl: { AccessToken: 300, AuthorizationCode: 60, IdToken: 300, Grant: 300, Interaction: 300, Session: 300 },
    });
    provider.use(async (context, next) => {
      await next();
      if (this.#forgery && context.oidc?.route === 'token' && context.body?.id_token) {
        context.body.id_token = await this.#forged(context.body.id_token);
      }
    });
    const { pathname, hostname, port } = new URL(issuer);
    const path = pathname === '/' ? '' : pathname;
    const serve = provider.callback();
    const server = createServer((request, answer) => {
      request.originalUrl = request.url;
      if (request.url.startsWith(path)) request.url = request.url.slice(path.length);
      serve(request, answer);
    });
    await new Promise((resolve) => server.listen(Number(port), hostname, resolve));
    return this;
  }

  /** From now on ID tokens are changed: their claims, their header, or how they are signed. `undefined`: not any more. */
  forge(forgery) {
    this.#forgery = forgery;
  }

  async #forged(token) {
    const { claims = () => {}, header = () => {}, sign } = this.#forgery;
    const payload = decodeJwt(token);
    const protectedHeader = decodeProtectedHeader(token);
    claims(payload);
    header(protectedHeader);
    if (sign) return sign(payload, protectedHeader, this);
    return new SignJWT(payload).setProtectedHeader(protectedHeader).sign(this.key);
  }
}

/** Signed by nobody. */
export const unsigned = (payload) => new UnsecuredJWT(payload).encode();

/** Signed with the client's secret, which both sides know. */
export const signedWithTheSecret = (payload, header, { clientSecret }) =>
  new SignJWT(payload).setProtectedHeader({ ...header, alg: 'HS256' }).sign(new TextEncoder().encode(clientSecret));

/** Signed with a key that is not the provider's, under the name of one that is. */
export const signedByAStranger = async (payload, header) =>
  new SignJWT(payload).setProtectedHeader(header).sign((await generateKeyPair('RS256')).privateKey);
