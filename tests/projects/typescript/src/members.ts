import { Pool } from 'pg';
import type { Member } from './bookings';

const pool = new Pool({ connectionString: process.env.DATABASE_URL });

export async function memberOf(handle: string): Promise<Member | undefined> {
  const found = await pool.query<Member>('SELECT id, handle, name FROM members WHERE handle = $1', [handle]);
  return found.rows[0];
}

export const close = (): Promise<void> => pool.end();
