const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');
const { DynamoDBDocumentClient } = require('@aws-sdk/lib-dynamodb');
const config = require('./config');

const client = new DynamoDBClient({ region: config.region, endpoint: config.endpoint });
module.exports = DynamoDBDocumentClient.from(client);
