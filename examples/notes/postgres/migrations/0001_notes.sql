CREATE TABLE notes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text text NOT NULL CHECK (length(text) <= 10000),
  -- A bcrypt hash, if the note has a secret.
  secret text
);
