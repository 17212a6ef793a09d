-- What clients note on meters and subjects, as JSON objects. No export depends on it.
ALTER TABLE meters ADD COLUMN metadata TEXT;
ALTER TABLE subjects ADD COLUMN metadata TEXT;
