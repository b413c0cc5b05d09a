const express = require('express');
const config = require('./config');
const rooms = require('./routes/rooms');

const app = express();
app.use(express.json());
app.get('/healthz', (req, res) => res.json({ ok: true }));
app.use('/api', rooms);
app.use((error, req, res, next) => {
  console.error(error);
  res.status(500).json({ error: error.message });
});

app.listen(config.port, '127.0.0.1', () => console.log(`listening on ${config.port}`));
