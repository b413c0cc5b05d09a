INSERT INTO public.users (display_name, handle, email, cognito_user_id)
VALUES
  ('Nora Quay', 'nora', 'nora@example.com', '8d2f6f0e-2f55-4f7f-9a6d-000000000001'),
  ('Tariq Mast', 'tariq', 'tariq@example.com', '8d2f6f0e-2f55-4f7f-9a6d-000000000002'),
  ('Signe Bolt', 'signe', 'signe@example.com', '8d2f6f0e-2f55-4f7f-9a6d-000000000003');

INSERT INTO public.berths (user_uuid, length_m, boat)
VALUES
  ((SELECT uuid FROM public.users WHERE users.handle = 'nora' LIMIT 1), 9.5, 'Petrel');
