-- What the database knows of the usage beside it, one row: which store it is, a sequence that was
-- durable there, and since when points of finished exports count as known (microseconds UTC).
CREATE TABLE known_usage (
    name TEXT NOT NULL CONSTRAINT known_usage_name_unique PRIMARY KEY,
    store TEXT NOT NULL,
    durable_through BIGINT NOT NULL,
    since BIGINT NOT NULL
);
