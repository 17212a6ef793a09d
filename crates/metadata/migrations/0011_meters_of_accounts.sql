-- Ids of meters are unique in an account, not in the database, so that two accounts may load the
-- same catalogue. SQLite changes no key in place: rows are set aside, tables are dropped from the
-- referring one on and made again, and the rows come back. A column that an earlier migration adds
-- to one of these tables must be named here too; a test compares the columns.

CREATE TABLE meters_before AS SELECT * FROM meters;
CREATE TABLE meter_versions_before AS SELECT * FROM meter_versions;
CREATE TABLE rate_versions_before AS
    SELECT v.*, r.account_id FROM rate_versions v JOIN rates r ON r.id = v.rate_id;
DROP TABLE rate_versions;
DROP TABLE meter_versions;
DROP TABLE meters;

CREATE TABLE meters (
    account_id TEXT NOT NULL CONSTRAINT meters_account_known REFERENCES accounts (id),
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT meters_id_unique PRIMARY KEY (account_id, id)
);
INSERT INTO meters (account_id, id, created_at, updated_at)
    SELECT account_id, id, created_at, updated_at FROM meters_before;

CREATE TABLE meter_versions (
    account_id TEXT NOT NULL CONSTRAINT meter_versions_account_known REFERENCES accounts (id),
    meter_id TEXT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    service TEXT NOT NULL,
    category TEXT NOT NULL,
    feature TEXT NOT NULL,
    unit TEXT NOT NULL,
    event_type TEXT NOT NULL,
    aggregation TEXT NOT NULL,
    value_property TEXT,
    filters TEXT NOT NULL,
    group_by TEXT NOT NULL,
    scalar_name TEXT NOT NULL,
    scalar_factor BIGINT NOT NULL CONSTRAINT meter_versions_factor_positive CHECK (
        scalar_factor >= 1),
    metric_category TEXT NOT NULL,
    job_level TEXT,
    zero_rows BOOLEAN NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    ended_revision BIGINT,
    checksum BIGINT,
    CONSTRAINT meter_versions_meter_known FOREIGN KEY (account_id, meter_id)
        REFERENCES meters (account_id, id),
    CONSTRAINT meter_versions_valid CHECK (valid_from < valid_to)
);
INSERT INTO meter_versions (account_id, meter_id, slug, name, description, service, category,
        feature, unit, event_type, aggregation, value_property, filters, group_by, scalar_name,
        scalar_factor, metric_category, job_level, zero_rows, valid_from, valid_to, revision,
        ended_revision, checksum)
    SELECT account_id, meter_id, slug, name, description, service, category,
        feature, unit, event_type, aggregation, value_property, filters, group_by, scalar_name,
        scalar_factor, metric_category, job_level, zero_rows, valid_from, valid_to, revision,
        ended_revision, checksum
    FROM meter_versions_before;
CREATE INDEX meter_versions_by_meter ON meter_versions (account_id, meter_id, valid_from);
CREATE UNIQUE INDEX meters_slug_unique ON meter_versions (account_id, slug)
    WHERE ended_revision IS NULL AND valid_to = 9223372036854775807;

CREATE TABLE rate_versions (
    rate_id TEXT NOT NULL CONSTRAINT rate_versions_rate_known REFERENCES rates (id),
    account_id TEXT NOT NULL CONSTRAINT rate_versions_account_known REFERENCES accounts (id),
    meter_id TEXT NOT NULL,
    organization_id TEXT
        CONSTRAINT rate_versions_organization_known REFERENCES organizations (id),
    kind TEXT NOT NULL CONSTRAINT rate_versions_kind_known CHECK (kind IN ('ipu', 'money')),
    per_units BIGINT NOT NULL CONSTRAINT rate_versions_per_positive CHECK (per_units >= 1),
    unit TEXT NOT NULL,
    tiers TEXT NOT NULL,
    allowance TEXT NOT NULL,
    billable BOOLEAN NOT NULL,
    list_price TEXT,
    subscription_id TEXT,
    charge_number TEXT,
    currency TEXT,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    ended_revision BIGINT,
    checksum BIGINT,
    CONSTRAINT rate_versions_meter_known FOREIGN KEY (account_id, meter_id)
        REFERENCES meters (account_id, id),
    CONSTRAINT rate_versions_valid CHECK (valid_from < valid_to)
);
INSERT INTO rate_versions (rate_id, account_id, meter_id, organization_id, kind, per_units, unit,
        tiers, allowance, billable, list_price, subscription_id, charge_number, currency,
        valid_from, valid_to, revision, ended_revision, checksum)
    SELECT rate_id, account_id, meter_id, organization_id, kind, per_units, unit,
        tiers, allowance, billable, list_price, subscription_id, charge_number, currency,
        valid_from, valid_to, revision, ended_revision, checksum
    FROM rate_versions_before;
CREATE INDEX rate_versions_by_rate ON rate_versions (rate_id, valid_from);
CREATE INDEX rate_versions_by_meter ON rate_versions (account_id, meter_id);

DROP TABLE meters_before;
DROP TABLE meter_versions_before;
DROP TABLE rate_versions_before;
