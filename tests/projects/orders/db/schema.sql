CREATE TABLE people (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    handle text NOT NULL UNIQUE
);
INSERT INTO people (handle) VALUES ('ada'), ('bo'), ('cy');
