-- No uuid here: Postgres generates it. `handle` is how the other seeds name a person.

INSERT INTO public.users (display_name, handle, email, cognito_user_id, created_at) VALUES
  ('Ines Halvorsen', 'ines', 'ines@example.com', '7c1f4a52-0b1e-4c58-9a3d-2f60c8e1d4b7', '2023-04-03 09:12:40+00'),
  ('Rafael Okoro', 'rafael', 'rafael@example.com', 'e49d20b6-58a7-4f0c-b1c9-83f5a7d61e02', '2023-04-03 17:45:03+00'),
  ('Mei Santangelo', 'mei', 'mei@example.com', '1d86f3c0-92be-4e37-8f5a-c40b7e95a218', '2023-04-11 08:30:55+00'),
  ('Jonas Vell', 'jonas', 'jonas@example.com', 'a5307e9b-e6d4-4b82-95c1-0d7f2864fb3e', '2023-04-19 20:01:17+00'),
  ('Priya Marchetti', 'priya', 'priya@example.com', '3fb95d17-417c-4a69-ae08-96d1c2e07b54', '2023-05-02 12:26:31+00'),
  -- Tove has no conversations: an empty list is the right answer for her.
  ('Tove Adeyemi', 'tove', 'tove@example.com', 'c8e2617a-3d90-4f1b-8b46-5a9e07d3f1cc', '2023-05-20 06:58:09+00');
