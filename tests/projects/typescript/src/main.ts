import express from 'express';
import { createBooking, listBookings } from './bookings';
import { memberOf } from './members';

const app = express();
app.use(express.json());

app.get('/health', (req, res) => {
  res.json({ status: 'up' });
});

app.get('/courts/:courtId/bookings', async (req, res) => {
  res.json({ data: await listBookings(req.params.courtId) });
});

app.post('/courts/:courtId/bookings', async (req, res) => {
  const member = await memberOf(req.body.handle);
  if (!member) {
    res.status(404).json({ error: 'no such member' });
    return;
  }
  res.status(201).json({ id: await createBooking(req.params.courtId, new Date(req.body.hour), member, req.body.note) });
});

const port = Number(process.env.PORT ?? 8080);
app.listen(port, '127.0.0.1', () => console.log(`courts on ${port}`));
