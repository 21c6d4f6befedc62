// Verifies tokens with npm's jose from what their issuer publishes. Reads {modules, issuer, audience, tokens} as JSON
// from standard input and prints, for each token, its claims and header, or the code of the refusal.
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const { readFileSync } = require('node:fs');

const given = JSON.parse(readFileSync(0, 'utf8'));

async function verify() {
  const entry = createRequire(given.modules + '/').resolve('jose');
  const { createRemoteJWKSet, jwtVerify } = await import(pathToFileURL(entry).href);
  const discovery = await (await fetch(given.issuer + '/.well-known/openid-configuration')).json();
  const keys = createRemoteJWKSet(new URL(discovery.jwks_uri));
  const options = { issuer: discovery.issuer, audience: given.audience, algorithms: discovery.id_token_signing_alg_values_supported };
  return Promise.all(given.tokens.map((token) => jwtVerify(token, keys, options).then(
    ({ payload, protectedHeader }) => ({ payload, protectedHeader }), (error) => ({ code: error.code }))));
}

verify().then((result) => console.log(JSON.stringify(result)), (error) => { console.error(error); process.exit(1); });
