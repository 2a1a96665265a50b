// Segment's own Webhooks (Actions) destination, set up as the guide says, over events that arrived at Segment:
//   webhooks_actions.cjs URL SECRET SHARED_SECRET one|batch < EVENTS
// Its requests go through a relay on loopback that keeps them as they are on the wire. Prints them with what the receiver
// answered, and the HMAC that this script computes over the same bytes.
const { createTestIntegration } = require("@segment/actions-core");
const webhook = require("@segment/action-destinations/dist/destinations/webhook").default;
const { createHmac } = require("node:crypto");
const { readFileSync } = require("node:fs");
const http = require("node:http");

const [target, secret, sharedSecret, mode] = process.argv.slice(2);
const requests = [];

const relay = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    const body = Buffer.concat(chunks);
    const { host, connection, "content-length": length, "accept-encoding": encodings, ...headers } = request.headers;
    const answer = await fetch(target, { method: request.method, headers, body });
    const text = await answer.text();
    // Of a batch the first element alone is signed.
    const signed = mode === "batch" ? JSON.stringify(JSON.parse(body)[0]) : body;
    requests.push({
      method: request.method,
      headers,
      body: JSON.parse(body),
      hmac: createHmac("sha1", sharedSecret).update(signed).digest("hex"),
      status: answer.status,
      answer: JSON.parse(text),
    });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
  });
});

async function main() {
  await new Promise((listening) => relay.listen(0, "127.0.0.1", listening));
  // The guide's table: URL, method, headers, "Event type is group", "Send the full event".
  const subscription = {
    partnerAction: "send",
    name: "TrailSpark Product Orgs",
    enabled: true,
    subscribe: 'type = "group"',
    mapping: {
      url: `http://127.0.0.1:${relay.address().port}/`,
      method: "POST",
      headers: { "X-Api-Secret": secret },
      data: { "@path": "$." },
      enable_batching: mode === "batch",
    },
  };
  const destination = createTestIntegration(webhook);
  const settings = { sharedSecret, subscriptions: [subscription] };
  const events = JSON.parse(readFileSync(0, "utf8"));
  if (mode === "batch") {
    await destination.onBatch(events, settings);
  } else {
    for (const event of events) await destination.onEvent(event, settings);
  }
  process.stdout.write(JSON.stringify(requests));
}

main()
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => {
    relay.close();
    relay.closeAllConnections();
  });
