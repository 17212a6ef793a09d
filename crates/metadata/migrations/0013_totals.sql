-- How many rows of each table of control data an account has at every revision that changed it, and
-- the sum of the checksums they were written with (FORMAT.md says how): a row that is missing, or
-- one too many, is noticed. What was written before gets its totals once, when the database is
-- opened.

CREATE TABLE control_totals (
    account_id TEXT NOT NULL CONSTRAINT control_totals_account_known REFERENCES accounts (id),
    revision BIGINT NOT NULL,
    organizations_rows BIGINT NOT NULL,
    organizations_sum BIGINT NOT NULL,
    organization_versions_rows BIGINT NOT NULL,
    organization_versions_sum BIGINT NOT NULL,
    organization_aliases_rows BIGINT NOT NULL,
    organization_aliases_sum BIGINT NOT NULL,
    organization_edges_rows BIGINT NOT NULL,
    organization_edges_sum BIGINT NOT NULL,
    meter_versions_rows BIGINT NOT NULL,
    meter_versions_sum BIGINT NOT NULL,
    rate_versions_rows BIGINT NOT NULL,
    rate_versions_sum BIGINT NOT NULL,
    CONSTRAINT control_totals_unique PRIMARY KEY (account_id, revision)
);

ALTER TABLE checksum_fill ADD COLUMN has_totals BOOLEAN NOT NULL DEFAULT FALSE;
