// The main job with the AWS SDK for JavaScript v3. Reads {modules, endpoint, region, webRole, tokenFile, nextRole,
// closedRole, keys?} as JSON from standard input and prints what each step answered, as JSON.
// Written as CommonJS because its require() can be told where the modules are.
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');

const given = JSON.parse(readFileSync(0, 'utf8'));
const from = createRequire(given.modules + '/');
const { STSClient, GetCallerIdentityCommand, AssumeRoleCommand } = from('@aws-sdk/client-sts');
const { fromTokenFile } = from('@aws-sdk/credential-providers');

const options = { endpoint: given.endpoint, region: given.region, maxAttempts: 1 };
const keys = (c) => ({ accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken });

async function walk() {
  const web = new STSClient({ ...options, credentials: fromTokenFile({
    roleArn: given.webRole, webIdentityTokenFile: given.tokenFile, roleSessionName: 'js', clientConfig: options }) });
  const first = await web.send(new GetCallerIdentityCommand({}));
  const assumed = await web.send(new AssumeRoleCommand({ RoleArn: given.nextRole, RoleSessionName: 'js', DurationSeconds: 900,
    Tags: [{ Key: 'Team', Value: 'žluť +/=' }] }));
  const second = await new STSClient({ ...options, credentials: keys(assumed.Credentials) }).send(new GetCallerIdentityCommand({}));
  const refusal = await web.send(new AssumeRoleCommand({ RoleArn: given.closedRole, RoleSessionName: 'js' })).then(
    () => null, (e) => ({ code: e.Code || e.name, message: e.message, status: e.$metadata.httpStatusCode, request: e.$metadata.requestId }));
  return { first: first.Arn, second: second.Arn, request: second.$metadata.requestId, refusal,
    seconds: (assumed.Credentials.Expiration - Date.now()) / 1000 };
}

walk().then((result) => console.log(JSON.stringify(result)), (error) => { console.error(error); process.exit(1); });
