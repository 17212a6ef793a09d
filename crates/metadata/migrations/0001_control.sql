-- Control data: append-only versions. A row is seen at revision R when
-- revision <= R and (ended_revision is null or ended_revision > R).
-- valid_from and valid_to are microseconds UTC; open bounds are the least and greatest BIGINT.

CREATE TABLE locks (
    name TEXT NOT NULL CONSTRAINT locks_name_unique PRIMARY KEY,
    taken BIGINT NOT NULL
);
INSERT INTO locks (name, taken) VALUES ('exports', 0), ('outbox', 0), ('instance', 0);

CREATE TABLE control_revision (
    only_row BIGINT NOT NULL CONSTRAINT control_revision_one_row PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO control_revision (only_row, revision) VALUES (1, 0);

CREATE TABLE accounts (
    id TEXT NOT NULL CONSTRAINT accounts_id_unique PRIMARY KEY,
    root_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE organizations (
    id TEXT NOT NULL CONSTRAINT organizations_id_unique PRIMARY KEY,
    account_id TEXT NOT NULL CONSTRAINT organizations_account_known REFERENCES accounts (id),
    kind TEXT NOT NULL CONSTRAINT organizations_kind_known CHECK (
        kind IN ('production', 'additional_production', 'sandbox', 'sub_organization')),
    created_at BIGINT NOT NULL,
    archived_at BIGINT,
    archived_revision BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX organizations_by_account ON organizations (account_id, id);

CREATE TABLE organization_versions (
    organization_id TEXT NOT NULL
        CONSTRAINT organization_versions_organization_known REFERENCES organizations (id),
    name TEXT NOT NULL,
    realm_id TEXT,
    partner_id TEXT,
    anchor_period TEXT NOT NULL CONSTRAINT organization_versions_period_known CHECK (
        anchor_period IN ('monthly', 'annual')),
    anchor_day BIGINT NOT NULL CONSTRAINT organization_versions_day_known CHECK (
        anchor_day BETWEEN 1 AND 31),
    anchor_month BIGINT NOT NULL CONSTRAINT organization_versions_month_known CHECK (
        anchor_month BETWEEN 1 AND 12),
    currency TEXT NOT NULL,
    metering_enabled BOOLEAN NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    ended_revision BIGINT,
    CONSTRAINT organization_versions_valid CHECK (valid_from < valid_to)
);
CREATE INDEX organization_versions_by_organization
    ON organization_versions (organization_id, valid_from);
CREATE UNIQUE INDEX organizations_realm_unique ON organization_versions (realm_id)
    WHERE ended_revision IS NULL AND valid_to = 9223372036854775807;

CREATE TABLE organization_aliases (
    account_id TEXT NOT NULL
        CONSTRAINT organization_aliases_account_known REFERENCES accounts (id),
    alias TEXT NOT NULL,
    organization_id TEXT NOT NULL
        CONSTRAINT organization_aliases_organization_known REFERENCES organizations (id),
    revision BIGINT NOT NULL,
    ended_revision BIGINT
);
CREATE UNIQUE INDEX organizations_alias_unique ON organization_aliases (account_id, alias)
    WHERE ended_revision IS NULL;
CREATE INDEX organization_aliases_by_organization ON organization_aliases (organization_id);

CREATE TABLE organization_edges (
    child_id TEXT NOT NULL
        CONSTRAINT organization_edges_child_known REFERENCES organizations (id),
    parent_id TEXT NOT NULL
        CONSTRAINT organization_edges_parent_known REFERENCES organizations (id),
    valid_from BIGINT NOT NULL,
    valid_to BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    ended_revision BIGINT,
    CONSTRAINT organization_edges_valid CHECK (valid_from < valid_to),
    CONSTRAINT organization_edges_apart CHECK (child_id <> parent_id)
);
CREATE INDEX organization_edges_by_child ON organization_edges (child_id, valid_from);
CREATE INDEX organization_edges_by_parent ON organization_edges (parent_id);

CREATE TABLE meters (
    id TEXT NOT NULL CONSTRAINT meters_id_unique PRIMARY KEY,
    account_id TEXT NOT NULL CONSTRAINT meters_account_known REFERENCES accounts (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX meters_by_account ON meters (account_id, id);

CREATE TABLE meter_versions (
    meter_id TEXT NOT NULL CONSTRAINT meter_versions_meter_known REFERENCES meters (id),
    account_id TEXT NOT NULL CONSTRAINT meter_versions_account_known REFERENCES accounts (id),
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
    CONSTRAINT meter_versions_valid CHECK (valid_from < valid_to)
);
CREATE INDEX meter_versions_by_meter ON meter_versions (meter_id, valid_from);
CREATE INDEX meter_versions_by_account ON meter_versions (account_id);
CREATE UNIQUE INDEX meters_slug_unique ON meter_versions (account_id, slug)
    WHERE ended_revision IS NULL AND valid_to = 9223372036854775807;

CREATE TABLE rates (
    id TEXT NOT NULL CONSTRAINT rates_id_unique PRIMARY KEY,
    account_id TEXT NOT NULL CONSTRAINT rates_account_known REFERENCES accounts (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX rates_by_account ON rates (account_id, id);

CREATE TABLE rate_versions (
    rate_id TEXT NOT NULL CONSTRAINT rate_versions_rate_known REFERENCES rates (id),
    meter_id TEXT NOT NULL CONSTRAINT rate_versions_meter_known REFERENCES meters (id),
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
    CONSTRAINT rate_versions_valid CHECK (valid_from < valid_to)
);
CREATE INDEX rate_versions_by_rate ON rate_versions (rate_id, valid_from);
CREATE INDEX rate_versions_by_meter ON rate_versions (meter_id);

CREATE TABLE subjects (
    account_id TEXT NOT NULL CONSTRAINT subjects_account_known REFERENCES accounts (id),
    subject_key TEXT NOT NULL,
    display_name TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT subjects_key_unique PRIMARY KEY (account_id, subject_key)
);
