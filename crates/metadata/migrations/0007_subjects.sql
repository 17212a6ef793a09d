-- A subject belongs to the organization that named it. Those named so far go to the root of their
-- account.

ALTER TABLE subjects RENAME TO subjects_of_accounts;
CREATE TABLE subjects (
    organization_id TEXT NOT NULL
        CONSTRAINT subjects_organization_known REFERENCES organizations (id),
    subject_key TEXT NOT NULL,
    display_name TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT subjects_organization_key_unique PRIMARY KEY (organization_id, subject_key)
);
INSERT INTO subjects (organization_id, subject_key, display_name, created_at, updated_at)
    SELECT a.root_id, s.subject_key, s.display_name, s.created_at, s.updated_at
    FROM subjects_of_accounts s JOIN accounts a ON a.id = s.account_id;
DROP TABLE subjects_of_accounts;

-- Credentials of an archived organization end with it; so do those of the ones archived before.
UPDATE api_keys SET revoked_at = (
        SELECT o.archived_at FROM organizations o WHERE o.id = api_keys.organization_id)
    WHERE EXISTS (SELECT 1 FROM organizations o
        WHERE o.id = api_keys.organization_id AND o.archived_at IS NOT NULL
            AND (api_keys.revoked_at IS NULL OR api_keys.revoked_at > o.archived_at));
UPDATE users SET status = 'disabled'
    WHERE organization_id IN (SELECT id FROM organizations WHERE archived_at IS NOT NULL);
DELETE FROM sessions WHERE user_id IN (
    SELECT u.id FROM users u JOIN organizations o ON o.id = u.organization_id
    WHERE o.archived_at IS NOT NULL);
