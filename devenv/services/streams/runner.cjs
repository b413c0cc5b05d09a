// Call a Lambda handler of Node. argv: file, function, descriptor of the answers; the lines are those of runner.py.
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const { pathToFileURL } = require("url");
const [file, name, descriptor] = process.argv.slice(2);
const folder = process.cwd();
const own = (each) => each.startsWith(folder + path.sep) && !each.includes(`${path.sep}node_modules${path.sep}`);
const answer = (values) =>
  fs.writeSync(Number(descriptor), JSON.stringify({ ...values, files: files(), wrote: [] }) + "\n");
const files = () => [...new Set([path.resolve(file), ...Object.keys(require.cache)])].filter(own);
const failed = (error) => {
  console.error(error);
  const line = String((error && error.stack) || "")
    .split("\n")
    .map((each) => /\(?((?:file:\/\/)?\/[^():]+):(\d+):\d+\)?$/.exec(each.trim()))
    .find((each) => each && own(each[1].replace("file://", "")));
  const place = line ? `${path.relative(folder, line[1].replace("file://", ""))}:${line[2]}` : null;
  answer({ error: `${(error && error.name) || "Error"}: ${(error && error.message) || error}`, place });
};
const load = async () => {
  const full = path.resolve(file);
  let found;
  try {
    found = require(full);
  } catch (error) {
    if (error.code !== "ERR_REQUIRE_ESM") throw error;
    found = await import(pathToFileURL(full).href);
  }
  for (const part of name.split(".")) found = found && found[part];
  if (typeof found !== "function") throw new TypeError(`${name} in ${file} is no function`);
  return found;
};
const call = (handler, event, context) =>
  new Promise((resolve, reject) => {
    const done = (error, result) => (error ? reject(error) : resolve(result));
    const result = handler(event, context, done);
    if (result && typeof result.then === "function") result.then(resolve, reject);
    else if (handler.length < 3) resolve(result);
  });
(async () => {
  let handler = null;
  try {
    handler = await load();
    answer({ result: null });
  } catch (error) {
    failed(error);
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { event, context } = JSON.parse(line);
    const ends = Date.now() + context.timeout_s * 1000;
    if (!handler) {
      answer({ error: "the module could not be loaded", place: null });
      continue;
    }
    try {
      const result = await call(handler, event, {
        functionName: context.function_name,
        awsRequestId: context.request_id,
        invokedFunctionArn: context.arn,
        functionVersion: "$LATEST",
        memoryLimitInMB: "128",
        getRemainingTimeInMillis: () => Math.max(0, ends - Date.now()),
      });
      answer({ result: result === undefined ? null : result });
    } catch (error) {
      failed(error);
    }
  }
})();
