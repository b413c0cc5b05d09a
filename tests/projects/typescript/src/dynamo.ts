import { DynamoDBClient } from '@aws-sdk/client-dynamodb';

export const table = process.env.BOOKINGS_TABLE ?? 'bookings';
export const client = new DynamoDBClient({ region: process.env.AWS_REGION ?? 'eu-west-1' });
