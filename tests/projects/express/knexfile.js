module.exports = {
  client: 'pg',
  connection: {
    host: process.env.DB_HOST || '127.0.0.1',
    port: Number(process.env.DB_PORT || 5432),
    user: process.env.DB_USER || 'rooms',
    password: process.env.DB_PASSWORD,
    database: process.env.DB_NAME || 'rooms',
  },
  migrations: { directory: './migrations' },
};
