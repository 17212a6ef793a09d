-- Which parts of its billing anchor an organization has from its parent: the sum of 1 for the
-- period, 2 for the day and 4 for the month; null where none, as in every row of before. The
-- columns of such parts hold monthly, 1 and 1, and mean nothing.

ALTER TABLE organization_versions ADD COLUMN anchor_inherited BIGINT
    CONSTRAINT organization_versions_inherited_known CHECK (anchor_inherited BETWEEN 1 AND 7);
