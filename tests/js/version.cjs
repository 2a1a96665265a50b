// The version of an installed package: version.cjs NAME
const { existsSync, readFileSync } = require("node:fs");
const { join } = require("node:path");

const file = join(process.env.NODE_PATH, process.argv[2], "package.json");
if (!existsSync(file)) throw new Error(`${file} is missing: npm ci --prefix tests/js`);
process.stdout.write(JSON.parse(readFileSync(file, "utf8")).version);
