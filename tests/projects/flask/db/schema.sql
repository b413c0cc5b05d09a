CREATE TABLE gardeners (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    handle text NOT NULL UNIQUE,
    display_name text NOT NULL,
    cognito_user_id text NOT NULL UNIQUE
);
