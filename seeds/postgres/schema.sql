-- The Postgres side: who people are and what they posted in public. Messages live in DynamoDB.

CREATE TABLE public.users (
  -- Generated when the row is inserted, so rebuilding the database gives everyone a new uuid.
  -- DynamoDB keeps copies of it: that is why the seeds there ask for it instead of holding it.
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  display_name text NOT NULL,
  handle text NOT NULL UNIQUE,
  email text NOT NULL,
  cognito_user_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.activities (
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_uuid uuid NOT NULL REFERENCES public.users (uuid),
  message text NOT NULL,
  replies_count integer NOT NULL DEFAULT 0,
  reposts_count integer NOT NULL DEFAULT 0,
  likes_count integer NOT NULL DEFAULT 0,
  reply_to_activity_uuid uuid,
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX activities_user_uuid_idx ON public.activities (user_uuid);
