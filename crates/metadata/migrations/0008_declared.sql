-- Which organizations setup files made, each under the name that the account's files have for it,
-- and which root the first start made. Only these are found again by name.

CREATE TABLE declared_organizations (
    account_id TEXT NOT NULL
        CONSTRAINT declared_organizations_account_known REFERENCES accounts (id),
    name TEXT NOT NULL,
    organization_id TEXT NOT NULL
        CONSTRAINT declared_organizations_organization_known REFERENCES organizations (id),
    made_by TEXT NOT NULL CONSTRAINT declared_organizations_maker_known CHECK (
        made_by IN ('setup', 'first_start')),
    CONSTRAINT declared_organizations_name_unique PRIMARY KEY (account_id, name)
);
CREATE INDEX declared_organizations_by_name ON declared_organizations (name);
CREATE INDEX organization_versions_by_name ON organization_versions (name)
    WHERE ended_revision IS NULL;

-- Of those there are: a name an organization was created with counts, whatever it is called now.
-- Roots, what was created right under the root, and what was created together with others (only
-- setup files do that) were not made by an organization below the root. A name that several have
-- counts for none of them.
INSERT INTO declared_organizations (account_id, name, organization_id, made_by)
WITH batches AS (
    SELECT account_id, revision, count(*) AS many FROM organizations GROUP BY account_id, revision
), born AS (
    SELECT o.account_id, o.id, o.revision, a.root_id, g.many, min(v.name) AS name
    FROM organizations o
    JOIN accounts a ON a.id = o.account_id
    JOIN batches g ON g.account_id = o.account_id AND g.revision = o.revision
    JOIN organization_versions v ON v.organization_id = o.id AND v.revision = o.revision
    WHERE o.archived_at IS NULL
    GROUP BY o.account_id, o.id, o.revision, a.root_id, g.many
    HAVING min(v.name) = max(v.name)
), marked AS (
    SELECT b.account_id, b.name, b.id,
        CASE WHEN b.id = b.root_id AND b.name = 'Default' AND b.many = 1
            THEN 'first_start' ELSE 'setup' END AS made_by
    FROM born b
    WHERE b.id = b.root_id OR b.many > 1 OR EXISTS (
        SELECT 1 FROM organization_edges e
        WHERE e.child_id = b.id AND e.revision = b.revision AND e.parent_id = b.root_id)
)
SELECT account_id, name, min(id), min(made_by) FROM marked
GROUP BY account_id, name HAVING count(*) = 1;
