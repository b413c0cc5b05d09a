import { PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { randomUUID } from 'node:crypto';
import { client, table } from './dynamo';

export interface Booking {
  id: string;
  hour: string;
  member: string;
  note?: string;
}

export interface Member {
  id: string;
  handle: string;
  name: string;
}

/** The bookings of a court, in the order of their hours. */
export async function listBookings(courtId: string): Promise<Booking[]> {
  const answer = await client.send(
    new QueryCommand({
      TableName: table,
      KeyConditionExpression: '#pk = :court',
      ExpressionAttributeNames: { '#pk': 'pk' },
      ExpressionAttributeValues: marshall({ ':court': `COURT#${courtId}` }),
      ScanIndexForward: true,
    }),
  );
  return (answer.Items ?? []).map((raw) => {
    const item = unmarshall(raw);
    return { id: item.bookingId, hour: item.sk, member: item.memberHandle, note: item.note };
  });
}

export async function createBooking(courtId: string, hour: Date, member: Member, note: string): Promise<string> {
  const bookingId = randomUUID();
  await client.send(
    new PutItemCommand({
      TableName: table,
      Item: marshall({
        pk: `COURT#${courtId}`,
        sk: hour.toISOString(),
        bookingId,
        note,
        memberId: member.id,
        memberHandle: member.handle,
      }),
    }),
  );
  return bookingId;
}
