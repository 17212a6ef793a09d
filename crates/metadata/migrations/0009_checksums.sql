-- A checksum for each row of control data, over all its other columns (FORMAT.md says how).
-- Rows of before get theirs once, when the database is opened; then no row is without one.

ALTER TABLE organizations ADD COLUMN checksum BIGINT;
ALTER TABLE organization_versions ADD COLUMN checksum BIGINT;
ALTER TABLE organization_aliases ADD COLUMN checksum BIGINT;
ALTER TABLE organization_edges ADD COLUMN checksum BIGINT;
ALTER TABLE meter_versions ADD COLUMN checksum BIGINT;
ALTER TABLE rate_versions ADD COLUMN checksum BIGINT;

CREATE TABLE checksum_fill (
    only_row BIGINT NOT NULL CONSTRAINT checksum_fill_one_row PRIMARY KEY,
    is_filled BOOLEAN NOT NULL
);
INSERT INTO checksum_fill (only_row, is_filled) VALUES (1, FALSE);
