// As much of a browser as a sign-in needs: it keeps cookies as RFC 6265bis asks, follows redirects, and sends forms.

import { CookieJar } from 'tough-cookie';

import { assert } from './report.mjs';

const MOST_REDIRECTS = 15;

export class Browser {
  // A cookie whose name promises more than its attributes keep (`__Host-` without `Secure`, or with a `Domain`) is an error here.
  // Browsers keep secure cookies of this machine over plain HTTP.
  #jar = new CookieJar(undefined, { prefixSecurity: 'strict', allowSecureOnLocal: true });

  /** Goes to an address. A redirect to `stopAt` is not followed: the application's callback has nobody behind it. */
  async visit(url, { stopAt } = {}) {
    return this.#go(new URL(url), { method: 'GET' }, stopAt);
  }

  /** Sends a form of a page, with some of its fields filled in. */
  async submit(form, filled = {}, { stopAt } = {}) {
    const fields = new URLSearchParams({ ...form.fields, ...filled });
    assert.equal(form.method, 'post', 'the form is a POST');
    const request = {
      method: 'POST',
      body: fields,
      headers: { origin: form.action.origin, 'sec-fetch-site': 'same-origin' },
    };
    return this.#go(form.action, request, stopAt);
  }

  async #go(url, request, stopAt) {
    for (let redirects = 0; redirects < MOST_REDIRECTS; redirects += 1) {
      const headers = new Headers(request.headers);
      headers.set('accept', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8');
      const cookies = await this.#jar.getCookieString(url.href);
      if (cookies) headers.set('cookie', cookies);
      const answer = await fetch(url, { ...request, headers, redirect: 'manual' });
      for (const cookie of answer.headers.getSetCookie()) {
        await this.#jar.setCookie(cookie, url.href);
      }
      const location = answer.headers.get('location');
      if (answer.status < 300 || answer.status >= 400 || location === null) {
        return new Page(url, answer.status, await answer.text());
      }
      await answer.arrayBuffer();
      url = new URL(location, url);
      if (stopAt !== undefined && `${url.origin}${url.pathname}` === stopAt) return new Page(url, 0, '');
      request = { method: 'GET' };
    }
    throw new Error(`${url.origin}${url.pathname} redirects without an end`);
  }
}

/** Where the browser has come to. Status 0: an address that it was told not to open. */
export class Page {
  constructor(url, status, html) {
    this.url = url;
    this.status = status;
    this.html = html;
  }

  /** What the page is about. */
  get heading() {
    return plain(/<h1[^>]*>(.*?)<\/h1>/s.exec(this.html)?.[1] ?? '');
  }

  /** The first link whose text begins with this. */
  link(text) {
    for (const [, tag, shown] of this.html.matchAll(/<a\s([^>]*)>(.*?)<\/a>/gs)) {
      if (plain(shown).startsWith(text)) return new URL(attribute(tag, 'href'), this.url);
    }
    throw new Error(`there is no link "${text}" on the page "${this.heading}" (status ${this.status})`);
  }

  /** The forms on the page, each with what is in its fields already. */
  get forms() {
    return [...this.html.matchAll(/<form\s([^>]*)>(.*?)<\/form>/gs)].map(([, tag, body]) => {
      const fields = {};
      for (const [, field] of body.matchAll(/<(?:input|button)\s([^>]*)>/gs)) {
        const name = attribute(field, 'name');
        if (name) fields[name] = attribute(field, 'value') ?? '';
      }
      return { action: new URL(attribute(tag, 'action'), this.url), method: attribute(tag, 'method'), fields };
    });
  }
}

function attribute(tag, name) {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(tag)?.[1];
  return value === undefined ? undefined : unescape(value);
}

function plain(html) {
  return unescape(html.replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim();
}

function unescape(text) {
  const named = { lt: '<', gt: '>', quot: '"', amp: '&' };
  return text.replace(/&(?:#(\d+)|(lt|gt|quot|amp));/g, (_, code, name) =>
    code === undefined ? named[name] : String.fromCodePoint(Number(code)),
  );
}
