// The guide's `analytics.group(id, traits)` through Segment's Node SDK, and calls that say nothing about an org:
//   segment.cjs HOST KEY < SNIPPET
// Prints what became of the calls and how many requests that took; on standard error, the status of each answer.
const { Analytics } = require("@segment/analytics-node");
const { readFileSync } = require("node:fs");

const [host, writeKey] = process.argv.slice(2);
const sdk = new Analytics({ writeKey, host, maxRetries: 5 });
const report = { requests: 0, delivered: [], failed: [] };
sdk.on("http_request", () => report.requests++);
sdk.on("http_response", ({ status }) => console.error(status));
const done = (call) => (error) => (error ? report.failed : report.delivered).push(call);

// In the browser the user is known; on a server it is given.
const analytics = {
  group: (groupId, traits) => sdk.group({ userId: "user_789", groupId, traits }, done("group")),
};
new Function("analytics", readFileSync(0, "utf8"))(analytics);
sdk.track({ userId: "user_789", event: "Plan Changed" }, done("track"));
sdk.identify({ userId: "user_789", traits: { name: "not an org" } }, done("identify"));
sdk.page({ userId: "user_789", name: "Pricing" }, done("page"));
sdk.screen({ userId: "user_789", name: "Pricing" }, done("screen"));
sdk.alias({ userId: "user_789", previousId: "anonymous" }, done("alias"));
sdk.closeAndFlush().then(() => console.log(JSON.stringify(report)));
