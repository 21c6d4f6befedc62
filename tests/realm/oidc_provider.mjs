// A real OpenID provider for the live tests: npm's oidc-provider with users, groups, device flow, back-channel logout and
// key rotation. Started by oidc_provider.py: node oidc_provider.mjs CONFIG.json (port, password, redirect URIs, modules).
// POST /admin/rotate makes new keys, the old ones stay published; POST /admin/drop forgets them. State lives in memory.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import { pathToFileURL } from 'node:url';

const cfg = JSON.parse(readFileSync(process.argv[2]));
const require = createRequire(cfg.modules + '/');
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const issuer = `http://127.0.0.1:${cfg.port}`;
const user = (sub, groups, extra = {}) => ({ sub, preferred_username: sub, name: sub[0].toUpperCase() + sub.slice(1) + ' Example',
  email: `${sub}@realm.test`, email_verified: true, groups, ...extra });
const users = Object.fromEntries([
  user('alice', ['engineering', 'backend', 'aws-admins'], { department: 'engineering', 'https://aws.amazon.com/tags': { principal_tags: { Department: ['engineering'] }, transitive_tag_keys: ['Department'] } }),
  user('bob', ['engineering', 'frontend', 'aws-readonly']), user('carol', ['finance', 'aws-billing']), user('dave', []),
  user('unverified', ['aws-admins'], { email: 'alice@realm.test', email_verified: false }), // must not become alice
  user('manygroups', Array.from({ length: 300 }, (_, i) => `group-${i}`)),
  user('weird', ['<script>', "a'b", 'žluťoučký', '*'], { name: 'Žofie Ďáblíková 日本' }),
].map((u) => [u.sub, u]));

const jwk = (type, opt, alg, kid) => ({ ...generateKeyPairSync(type, opt).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${kid}-${alg}` });
const newKeys = (kid) => [jwk('rsa', { modulusLength: 2048 }, 'RS256', kid), jwk('ec', { namedCurve: 'P-256' }, 'ES256', kid), jwk('ed25519', {}, 'EdDSA', kid)];
let generation = 1, keys = newKeys('k1'), previous = [];

const client = (id, x = {}) => ({ client_id: id, client_secret: `${id}-secret-0123456789abcdef0123456789`, redirect_uris: cfg.redirect_uris,
  post_logout_redirect_uris: cfg.redirect_uris, grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  response_types: ['code'], ...(cfg.backchannel_logout_uri ? { backchannel_logout_uri: cfg.backchannel_logout_uri, backchannel_logout_session_required: true } : {}), ...x });
const clients = [
  client('broker'), client('broker-es256', { id_token_signed_response_alg: 'ES256' }), client('broker-eddsa', { id_token_signed_response_alg: 'EdDSA' }),
  client('broker-public', { token_endpoint_auth_method: 'none', client_secret: undefined }), // PKCE alone
  client('other', {}),                                                                       // its tokens must not pass for the broker's
  client('machine', { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }), ...(cfg.clients || [])];

// oidc-provider reads its keys once, so a rotation builds a provider anew over the same memory; it signs with the new
// keys and still publishes the old public ones until "drop"
const store = new Map();
class Memory { // the adapter interface that oidc-provider documents
  constructor(name) { this.n = name; }
  k(id) { return `${this.n}:${id}`; }
  async upsert(id, p, ttl) { store.set(this.k(id), { ...p, _exp: ttl ? Date.now() + ttl * 1000 : Infinity }); }
  async find(id) { const v = store.get(this.k(id)); return v && v._exp > Date.now() ? v : undefined; }
  async by(f, val) { for (const [k, v] of store) if (k.startsWith(this.n + ':') && v[f] === val && v._exp > Date.now()) return v; }
  async findByUserCode(c) { return this.by('userCode', c); }
  async findByUid(u) { return this.by('uid', u); }
  async consume(id) { const v = store.get(this.k(id)); if (v) v.consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { store.delete(this.k(id)); }
  async revokeByGrantId(g) { for (const [k, v] of store) if (k.startsWith(this.n + ':') && v.grantId === g) store.delete(k); }
}
const cookieKeys = [randomUUID()];
const page = (title, body) => `<!doctype html><title>${title}</title><h1>${title}</h1>${body}`;

function build() {
  const p = new Provider(issuer, {
    adapter: Memory, clients, jwks: { keys: [...keys, ...previous] }, cookies: { keys: cookieKeys },
    findAccount: (ctx, id) => users[id] && { accountId: id, claims: () => users[id] },
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'department', 'https://aws.amazon.com/tags'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'offline_access'], conformIdTokenClaims: false, // claims also in the ID token
    pkce: { required: (ctx, c) => c.tokenEndpointAuthMethod === 'none' },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
    ttl: { AccessToken: cfg.ttl || 300, IdToken: cfg.ttl || 300, ClientCredentials: cfg.ttl || 300, RefreshToken: 3600, DeviceCode: 300, Session: 3600, Grant: 3600, Interaction: 600, AuthorizationCode: 60 },
    rotateRefreshToken: true, issueRefreshToken: async (ctx, c, code) => c.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    // its own guard refuses loopback addresses, where the broker's back-channel logout endpoint is in tests
    fetch: (url, { dispatcher, ...o }) => globalThis.fetch(url, o),
    interactions: { url: (ctx, i) => `/interaction/${i.uid}` },
    loadExistingGrant: async (ctx) => { // no consent page: everything asked for is granted
      const g = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
      g.addOIDCScope([...(ctx.oidc.requestParamScopes || []), 'openid'].join(' ')); await g.save(); return g;
    },
    features: {
      devInteractions: { enabled: false }, clientCredentials: { enabled: true }, introspection: { enabled: true }, revocation: { enabled: true },
      backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true, logoutSource: (ctx, form) => { ctx.body = page('Log out', form + '<button form="op.logoutForm" name="logout" value="yes">Log out</button>'); } },
      deviceFlow: { enabled: true, mask: '****-****',
        userCodeInputSource: (ctx, form, out, err) => { ctx.body = page('Device', (err ? `<p>${err.name}</p>` : '') + form + '<button form="op.deviceInputForm">Continue</button>'); },
        userCodeConfirmSource: (ctx, form, c, d, code) => { ctx.body = page('Confirm', `<p>${code}</p>` + form + '<button form="op.deviceConfirmForm">Continue</button>'); },
        successSource: (ctx) => { ctx.body = page('Device connected', ''); } },
    },
  });
  p.on('server_error', (ctx, e) => console.error('server_error', e));
  for (const e of ['backchannel.success', 'backchannel.error']) p.on(e, (ctx, x) => console.log(e, x instanceof Error ? x.message : x.clientId));
  return p;
}
let provider = build(), handler = provider.callback();

const body = async (req) => { let s = ''; for await (const c of req) s += c; return new URLSearchParams(s); };
const html = (res, code, s) => { res.writeHead(code, { 'content-type': 'text/html; charset=utf-8' }); res.end(s); };
http.createServer(async (req, res) => {
  try {
    const path = req.url.split('?')[0];
    if (path.startsWith('/interaction/')) {
      const d = await provider.interactionDetails(req, res);
      if (d.prompt.name === 'consent') { // offline_access needs prompt=consent: given without a page
        const g = new provider.Grant({ accountId: d.session.accountId, clientId: d.params.client_id });
        g.addOIDCScope(d.params.scope); await g.save();
        return await provider.interactionFinished(req, res, { consent: { grantId: g.jti } }, { mergeWithLastSubmission: true });
      }
      if (req.method === 'POST') {
        const f = await body(req), u = users[f.get('login')];
        if (u && f.get('password') === cfg.password)
          return await provider.interactionFinished(req, res, { login: { accountId: u.sub, amr: ['pwd'], acr: 'urn:realm:pwd' } });
      }
      return html(res, req.method === 'POST' ? 401 : 200, page('Sign in', `<p>${d.params.client_id}</p><form method="post"><input name="login"><input type="password" name="password"><button>Sign in</button></form>`));
    }
    if (path === '/admin/rotate' && req.method === 'POST') { previous = keys; keys = newKeys(`k${++generation}`); provider = build(); handler = provider.callback(); return html(res, 200, `k${generation}\n`); }
    if (path === '/admin/drop' && req.method === 'POST') { previous = []; provider = build(); handler = provider.callback(); return html(res, 200, 'dropped\n'); }
    handler(req, res);
  } catch (e) { console.error(e); if (!res.headersSent) html(res, e.statusCode || 500, String(e.message)); }
}).listen(cfg.port, '127.0.0.1', () => console.log('ready', issuer));
