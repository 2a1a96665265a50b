// A RudderStack transformation, unchanged, over a list of events: transformation.cjs FILE < EVENTS
// Prints the events that remain.
const { readFileSync } = require("node:fs");

async function main() {
  const code = readFileSync(process.argv[2], "utf8");
  const { transformEvent } = await import("data:text/javascript," + encodeURIComponent(code));
  const metadata = (event) => ({ sourceId: "source", messageId: event.messageId });
  const events = JSON.parse(readFileSync(0, "utf8"));
  const kept = events.map((event) => transformEvent(event, metadata)).filter((event) => event !== null && event !== undefined);
  process.stdout.write(JSON.stringify(kept));
}

main();
