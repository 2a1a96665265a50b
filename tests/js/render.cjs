// Renders templates with LiquidJS: a list of {template, data} on stdin, {at} the milliseconds that "now" is;
// a list of {text} or {error} on stdout.
const { Liquid } = require("liquidjs");
const { readFileSync } = require("node:fs");

const { at, cases } = JSON.parse(readFileSync(0, "utf8"));
Date.now = () => at;
const engine = new Liquid();
const results = cases.map(({ template, data }) => {
  try {
    return { text: engine.parseAndRenderSync(template, structuredClone(data)) };
  } catch (error) {
    return { error: String(error.message) };
  }
});
process.stdout.write(JSON.stringify(results));
