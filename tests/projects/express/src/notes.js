const { randomUUID } = require('crypto');
const { PutCommand, QueryCommand } = require('@aws-sdk/lib-dynamodb');
const doc = require('./dynamo');
const { table } = require('./config');

/** The notes of a room, newest first. */
async function listNotes(roomId) {
  const notes = [];
  let start;
  do {
    const page = await doc.send(new QueryCommand({
      TableName: table,
      KeyConditionExpression: 'pk = :room',
      ExpressionAttributeValues: { ':room': `ROOM#${roomId}` },
      ScanIndexForward: false,
      ExclusiveStartKey: start,
    }));
    notes.push(...page.Items);
    start = page.LastEvaluatedKey;
  } while (start);
  return notes.map((item) => ({
    id: item.noteId,
    text: item.text,
    writtenAt: item.sk,
    reader: item.readerHandle,
    name: item.readerDisplayName,
  }));
}

/** The rooms of a reader. */
async function listRooms(readerId) {
  const page = await doc.send(new QueryCommand({
    TableName: table,
    KeyConditionExpression: 'pk = :reader',
    ExpressionAttributeValues: { ':reader': `READER#${readerId}` },
  }));
  return page.Items.map((item) => ({ roomId: item.sk, title: item.title }));
}

async function createNote(roomId, reader, text) {
  const item = {
    pk: `ROOM#${roomId}`,
    sk: new Date().toISOString(),
    noteId: randomUUID(),
    text,
    readerId: reader.id,
    readerHandle: reader.handle,
    readerDisplayName: reader.display_name,
  };
  await doc.send(new PutCommand({ TableName: table, Item: item }));
  return item;
}

module.exports = { listNotes, listRooms, createNote };
