// The messages of a conversation, oldest first, as JSON: `node messages.mjs GROUP VARIANT`. Raw HTTP, no SDK.
// Variants: sound, all-pages-at-once (both follow pages and send again), one-page, no-retry, swallowed.
const [group, variant] = process.argv.slice(2);
const headers = { "X-Amz-Target": "DynamoDB_20120810.Query", "Content-Type": "application/x-amz-json-1.0",
  Authorization: `AWS4-HMAC-SHA256 Credential=${process.env.AWS_ACCESS_KEY_ID}/20260101/${process.env.AWS_REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0` };
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function query(request) {
  for (let pause = 50, began = Date.now(); ; pause = Math.min(2 * pause, 500)) {
    const response = await fetch(process.env.AWS_ENDPOINT_URL_DYNAMODB, { method: "POST", headers, body: JSON.stringify(request) });
    const body = await response.json();
    if (response.ok) return body;
    if (variant === "swallowed") return { Items: [] };
    if (variant === "no-retry" || !/Throughput/.test(body.__type) || Date.now() - began > 10000) throw new Error(body.__type);
    await rest(pause);
  }
}

const request = { TableName: process.env.DDB_MESSAGE_TABLE, KeyConditionExpression: "pk = :pk",
  ExpressionAttributeValues: { ":pk": { S: `MSG#${group}` } } };
const items = [];
let start;
do {
  const page = await query(start ? { ...request, ExclusiveStartKey: start } : request);
  items.push(...page.Items);
  start = page.LastEvaluatedKey;
} while (start && variant !== "one-page");
console.log(JSON.stringify(items.map((item) => ({ uuid: item.message_uuid.S, display_name: item.user_display_name.S,
  handle: item.user_handle.S, message: item.message.S, created_at: item.sk.S }))));
