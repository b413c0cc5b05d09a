CREATE TABLE observers (
    id uuid PRIMARY KEY,
    handle text NOT NULL UNIQUE,
    display_name text NOT NULL,
    joined_on date NOT NULL DEFAULT current_date
);
