// The guide's `rudderanalytics.group(id, traits)` through RudderStack's Node SDK, and calls that say nothing about an org:
//   rudderstack.cjs DATA_PLANE_URL KEY gzip|plain < SNIPPET
// Prints what became of the calls and how many requests that took; on standard error, the status of each answer.
const Rudder = require("@rudderstack/rudder-sdk-node");
const axios = require("axios");
const { readFileSync } = require("node:fs");

const [dataPlaneUrl, writeKey, packing] = process.argv.slice(2);
const report = { requests: 0, delivered: [], failed: [] };
const axiosInstance = axios.create();
axiosInstance.interceptors.request.use((request) => {
  report.requests++;
  return request;
});
const answered = (response) => console.error(response.status);
axiosInstance.interceptors.response.use(
  (response) => (answered(response), response),
  (error) => (error.response && answered(error.response), Promise.reject(error)),
);
// The first call would be sent by itself.
const options = { dataPlaneUrl, gzip: packing === "gzip", flushAt: 100, logLevel: "none", axiosInstance, retryCount: 5 };
const sdk = new Rudder(writeKey, options);
sdk.flushed = true;
const done = (call) => (error) => (error ? report.failed : report.delivered).push(call);

const rudderanalytics = {
  group: (groupId, traits) => sdk.group({ userId: "user_789", groupId, traits }, done("group")),
};
new Function("rudderanalytics", readFileSync(0, "utf8"))(rudderanalytics);
sdk.track({ userId: "user_789", event: "Plan Changed" }, done("track"));
sdk.identify({ userId: "user_789", traits: { name: "not an org" } }, done("identify"));
sdk.page({ userId: "user_789", name: "Pricing" }, done("page"));
sdk.screen({ userId: "user_789", name: "Pricing" }, done("screen"));
sdk.alias({ userId: "user_789", previousId: "anonymous" }, done("alias"));
sdk.flush().catch(() => {}).then(() => setImmediate(() => process.stdout.write(JSON.stringify(report), () => process.exit(0))));
