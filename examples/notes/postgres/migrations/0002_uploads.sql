ALTER TABLE notes ADD COLUMN changes integer NOT NULL DEFAULT 0;

CREATE TABLE uploads (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sha256 text NOT NULL,
  bytes bigint NOT NULL
);
