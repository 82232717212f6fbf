// Calls objects of midtrans-client by name: a line of JSON in, a line of JSON out. Nothing of the client is patched;
// the three base URLs are its own public settings.
const readline = require('readline');
const midtrans = require('midtrans-client');
const ApiConfig = require('midtrans-client/lib/apiConfig');

const settings = JSON.parse(process.argv[2]);
ApiConfig.CORE_SANDBOX_BASE_URL = settings.base;
ApiConfig.IRIS_SANDBOX_BASE_URL = settings.base + '/iris/api/v1';
midtrans.SnapBiConfig.SNAP_BI_SANDBOX_BASE_URL = settings.base;

function snapBi(key) {
  const names = settings.snap[key];
  const snap = midtrans.SnapBi.directDebit()
    .withClientId(names.client_id).withClientSecret(names.client_secret).withPrivateKey(names.private_key)
    .withPartnerId(names.partner_id).withChannelId(names.channel_id).withDeviceId(names.device_id);
  return snap;
}

async function run({ object, key, method, args }) {
  if (object === 'core') return new midtrans.CoreApi({ isProduction: false, serverKey: key })[method](...args);
  if (object === 'iris') return new midtrans.Iris({ isProduction: false, serverKey: key })[method](...args);
  if (method === 'getAccessToken') return snapBi(key).getAccessToken();
  if (method === 'createConnection') {
    const [path, body, headers, externalId] = args;
    const snap = snapBi(key).withBody(body).withTransactionHeader(headers);
    snap.apiPath = path;
    return snap.createConnection(externalId);
  }
  if (method === 'isWebhookNotificationVerified') {
    const [path, payload, signature, timestamp, publicKey] = args;
    midtrans.SnapBiConfig.snapBiPublicKey = publicKey;
    return midtrans.SnapBi.notification().withNotificationUrlPath(path).withNotificationPayload(payload)
      .withSignature(signature).withTimeStamp(timestamp).isWebhookNotificationVerified();
  }
  throw new Error('no such call: ' + method);
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  let told;
  try {
    told = { value: await run(JSON.parse(line)) };
  } catch (error) {
    told = { error: error.message, status: error.httpStatusCode ?? null, body: error.ApiResponse ?? null };
  }
  process.stdout.write(JSON.stringify(told) + '\n');
});
