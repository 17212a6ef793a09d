-- A digest of a request as it was sent: the same one again finds its export, although a name in
-- it may stand for something else by now.
ALTER TABLE exports ADD COLUMN request_sha256 TEXT;

-- Watermarks that were given out before they were sealed are looked up.
CREATE INDEX exports_by_watermark ON exports (as_of_sequence, as_of_revision, as_of_time)
    WHERE as_of_sequence IS NOT NULL;

-- Keys that all servers of this database share, as lower-case hexadecimal digits.
CREATE TABLE server_keys (
    name TEXT NOT NULL CONSTRAINT server_keys_name_unique PRIMARY KEY,
    secret TEXT NOT NULL
);

-- Under which URL the server that keeps the usage is reached.
ALTER TABLE instances ADD COLUMN url TEXT;
