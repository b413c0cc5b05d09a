const { PutCommand } = require('@aws-sdk/lib-dynamodb');
const db = require('../src/db');
const doc = require('../src/dynamo');
const { table } = require('../src/config');

const ROOM_ID = 'b3b8f3e2-7d0c-4a1f-9d53-6a2f4c1e8a10';
const LINES = [
  ['ylva', 'The second chapter is the best so far.'],
  ['okan', 'I liked the harbour scene more.'],
  ['ylva', 'Shall we meet on Thursday?'],
  ['okan', 'Thursday is fine, seven o clock.'],
];

async function putRoom(readerId, title) {
  await doc.send(new PutCommand({
    TableName: table,
    Item: { pk: `READER#${readerId}`, sk: ROOM_ID, title },
  }));
}

async function putNote(reader, number, text) {
  const writtenAt = new Date(Date.UTC(2024, 4, 2, 18, number)).toISOString();
  await doc.send(new PutCommand({
    TableName: table,
    Item: {
      pk: `ROOM#${ROOM_ID}`,
      sk: writtenAt,
      noteId: `5d0f7c9a-1b2c-4d3e-8f4a-00000000000${number}`,
      text,
      readerId: reader.id,
      readerHandle: reader.handle,
      readerDisplayName: reader.display_name,
    },
  }));
}

async function main() {
  const readers = Object.fromEntries((await db('readers').select()).map((row) => [row.handle, row]));
  for (const handle of ['ylva', 'okan']) await putRoom(readers[handle].id, 'Harbour novels');
  for (const [number, [handle, text]] of LINES.entries()) await putNote(readers[handle], number, text);
  await db.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
