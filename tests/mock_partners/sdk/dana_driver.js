// Calls DANA's own Node client by name: a line of JSON in, a line of JSON out. It has no setting for another host than
// DANA's: that one is put in its place, and nothing else of it is.
const fs = require('fs');
const readline = require('readline');

const [base, held] = [process.argv[2], JSON.parse(fs.readFileSync(process.argv[3], 'utf8'))];
Object.assign(process.env, { DANA_ENV: 'sandbox', X_PARTNER_ID: held.client_id });
const folder = './node_modules/dana-node/dist';
require(`${folder}/runtime.js`).getBasePathByEnv = () => base;
const { Dana } = require(`${folder}/index.js`);
const { WidgetUtils } = require(`${folder}/widget/v1/utils/utils.js`);

const client = new (Dana || require(`${folder}/index.js`).default)({
  partnerId: held.client_id, privateKey: held.private_key_pem, origin: 'https://core.example.test', env: 'sandbox',
  clientSecret: held.client_secret,
});

function run({ family, method, params }) {
  if (method === 'oauthUrl') return WidgetUtils.generateOauthUrl(params, held.private_key_pem);
  return client[`${family}Api`][method](params);
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  let told;
  try {
    told = { value: await run(JSON.parse(line)) };
  } catch (problem) {
    told = { error: `${problem.message} ${JSON.stringify(problem.rawResponse)}` };
  }
  console.log(JSON.stringify(told));
});
