-- Artifacts found damaged: since when, until it is made again, and how often that was done.

ALTER TABLE exports ADD COLUMN damaged_at BIGINT;
ALTER TABLE exports ADD COLUMN remakes BIGINT NOT NULL DEFAULT 0;
