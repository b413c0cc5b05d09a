// Calls of Node's drivers: `node workload.mjs pg|sdk ROUNDS MODULES`. Prints how many calls it made.
import { createRequire } from "node:module";

const [kind, rounds, modules] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const load = createRequire(`${modules}/`);
const table = process.env.TAP_TABLE ?? "tap-calls";
let made = 0;

async function usePg() {
  const { Client } = load("pg");
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query("CREATE TEMP TABLE t (a int PRIMARY KEY, b text)");
  for (let number = 0; number < rounds; number++) {
    await client.query("INSERT INTO t VALUES ($1, $2)", [number, "é".repeat(number % 50)]);
    await client.query({ name: "by-key", text: "SELECT a, b FROM t WHERE a = $1", values: [number] });
    await client.query("SELECT a, b FROM t WHERE a = " + number);
    made += 3;
    if (number % 10 === 0) {
      await client.query("INSERT INTO t VALUES ($1, 'again')", [number]).catch((error) => {
        if (error.code === "23505") made += 1;
      });
      await client.query("BEGIN; SELECT 1; COMMIT");
      made += 1;
    }
  }
  await client.end();
}

async function useSdk() {
  const { DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } = load("@aws-sdk/client-dynamodb");
  const client = new DynamoDBClient({});
  for (let number = 0; number < rounds; number++) {
    const key = { pk: { S: "node" }, sk: { S: String(number % 100).padStart(5, "0") } };
    if (number % 5 === 0) {
      await client.send(new PutItemCommand({ TableName: table, Item: { ...key, text: { S: "é".repeat(500) } } }));
      made += 1;
    }
    await client.send(new GetItemCommand({ TableName: table, Key: key }));
    await client.send(new QueryCommand({ TableName: table, KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: { ":pk": { S: "node" } }, Limit: 10, ReturnConsumedCapacity: "TOTAL" }));
    made += 2;
    if (number % 50 === 0) {
      await client.send(new GetItemCommand({ TableName: "tap-nothing", Key: key })).catch(() => { made += 1; });
    }
  }
}

await (kind === "pg" ? usePg() : useSdk());
console.log(made);
