import { createBooking } from '../src/bookings';
import { close, memberOf } from '../src/members';

const COURT_ID = '7c1d8a52-3f0b-4a6e-9d21-5b0e6f4c2a11';

async function main(): Promise<void> {
  const hours: [string, string, string][] = [
    ['lene', '2024-06-01T08:00:00.000Z', 'Bring the blue balls'],
    ['arda', '2024-06-01T10:00:00.000Z', 'Doubles with Kim'],
    ['lene', '2024-06-02T18:00:00.000Z', 'Last hour'],
  ];
  for (const [handle, hour, note] of hours) {
    const member = await memberOf(handle);
    if (member) await createBooking(COURT_ID, new Date(hour), member, note);
  }
  await close();
}

main();
