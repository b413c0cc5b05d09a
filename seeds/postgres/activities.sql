-- An activity has no natural key but its uuid, so it is given here: a changed line is then the same activity.

INSERT INTO public.activities
  (uuid, user_uuid, message, replies_count, reposts_count, likes_count, reply_to_activity_uuid, expires_at, created_at)
VALUES
  ('0b6c9a1e-7d43-4f0a-9c52-6f1e83b0d7a1', (SELECT uuid FROM public.users WHERE handle = 'ines'),
   'Bought a six inch mirror at the flea market. Now I only need everything else that makes it a telescope.',
   1, 2, 14, NULL, '2033-05-28 10:05:00+00', '2023-05-28 10:05:00+00'),
  ('5e27d8f4-1a90-4bc6-8e3f-d90247c51b62', (SELECT uuid FROM public.users WHERE handle = 'rafael'),
   'I have a table saw and opinions. Count me in.',
   0, 0, 6, '0b6c9a1e-7d43-4f0a-9c52-6f1e83b0d7a1', '2033-05-28 11:40:22+00', '2023-05-28 11:40:22+00'),
  ('94d1b03c-e8f5-4a27-b6d0-28c7f95e1a03', (SELECT uuid FROM public.users WHERE handle = 'mei'),
   'Third week of the community garden: eleven kinds of beans, one kind of slug.',
   1, 0, 9, NULL, '2033-06-05 07:15:30+00', '2023-06-05 07:15:30+00'),
  ('c3a8f765-2b1d-4e94-a0c7-51e6d28b9f04', (SELECT uuid FROM public.users WHERE handle = 'tove'),
   'Copper tape around the bed. They hate walking over it.',
   0, 0, 3, '94d1b03c-e8f5-4a27-b6d0-28c7f95e1a03', '2033-06-05 08:02:11+00', '2023-06-05 08:02:11+00'),
  ('f70e52d9-83c6-4d1f-9b28-a4c0e7361d05', (SELECT uuid FROM public.users WHERE handle = 'jonas'),
   'Choir rehearsal moves to Thursday because the hall is being painted. Bring your own chair.',
   0, 1, 4, NULL, '2033-06-12 16:20:00+00', '2023-06-12 16:20:00+00'),
  ('2dc4761b-f09a-4835-8e7d-b3f15a80c906', (SELECT uuid FROM public.users WHERE handle = 'priya'),
   'Looking for a second-hand cargo bike, any colour but grey.',
   0, 3, 7, NULL, '2033-06-15 13:37:45+00', '2023-06-15 13:37:45+00'),
  ('8a5be09f-46d7-4c23-b1f8-70d93ec2a507', (SELECT uuid FROM public.users WHERE handle = 'rafael'),
   'Sawdust in the coffee again. Worth it.',
   0, 0, 11, NULL, '2033-06-18 08:50:19+00', '2023-06-18 08:50:19+00'),
  ('b19f3ec8-5d02-4a76-97e4-0c82f6d1b308', (SELECT uuid FROM public.users WHERE handle = 'ines'),
   'First light tonight: craters so sharp I forgot to breathe. Thank you, flea market.',
   0, 4, 31, NULL, '2033-06-24 22:10:08+00', '2023-06-24 22:10:08+00');
