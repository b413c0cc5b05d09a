// An application on both stores: `node application.mjs PORT MODULES`. GET /n/7 asks both stores for 7.
// A request's traceparent is passed on: in a comment to Postgres, in a header to DynamoDB.
import http from "node:http";
import { createRequire } from "node:module";

const [port, modules] = [Number(process.argv[2]), process.argv[3]];
const load = createRequire(`${modules}/`);
const { Pool } = load("pg");
const { DynamoDBClient, QueryCommand } = load("@aws-sdk/client-dynamodb");
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const client = new DynamoDBClient({});
const rest = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 10));

async function look(number, trace) {
  const comment = trace ? ` /*traceparent='${trace}'*/` : "";
  const query = new QueryCommand({ TableName: process.env.TAP_TABLE, KeyConditionExpression: "pk = :pk",
    ExpressionAttributeValues: { ":pk": { S: `n${number}` } } });
  if (trace) {
    query.middlewareStack.add((next) => (given) => {
      given.request.headers.traceparent = trace;
      return next(given);
    }, { step: "build" });
  }
  await rest();
  await pool.query(`SELECT 'n${number}'${comment}`);
  await rest();
  const connection = await pool.connect();
  try {
    await connection.query("BEGIN" + comment);
    await connection.query(`SELECT $1::text, 'n${number}'${comment}`, ["x"]);
    await rest();
    await connection.query("COMMIT" + comment);
  } finally {
    connection.release();
  }
  await Promise.all([client.send(query), rest()]);
}

http.createServer(async (request, response) => {
  const number = request.url.split("/").pop();
  await look(number, request.headers.traceparent);
  response.end(number);
}).listen(port, "127.0.0.1");
