module.exports = {
  port: process.env.PORT || 3000,
  table: process.env.ROOMS_TABLE || 'rooms',
  region: process.env.AWS_REGION || 'eu-north-1',
  endpoint: process.env.DYNAMODB_ENDPOINT,
};
