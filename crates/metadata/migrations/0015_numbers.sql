-- Which numbers of JSON are the same to a meter version: NULL as they are spelled, 2 by value. The
-- versions that hold when a database is opened get a successor with 2, at a revision of its own.

ALTER TABLE meter_versions ADD COLUMN number_rule BIGINT;
