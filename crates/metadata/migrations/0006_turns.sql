-- Turns of organizations at the export workers, and jobs too long for the express lane.

ALTER TABLE exports ADD COLUMN is_long BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE export_turns (
    organization_id TEXT NOT NULL CONSTRAINT export_turns_organization_unique PRIMARY KEY
        CONSTRAINT export_turns_organization_known REFERENCES organizations (id),
    served_at BIGINT NOT NULL,
    express_at BIGINT NOT NULL
);

-- Wide enough to choose the next job without looking at rows.
DROP INDEX exports_active;
CREATE INDEX exports_active ON exports (
    organization_id, status, source, lease_expires_at, is_long, created_at, id)
    WHERE status IN ('CREATED', 'PROCESSING');
