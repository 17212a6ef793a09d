-- Export jobs, the outbox, and who may open the data directory.

CREATE TABLE exports (
    id TEXT NOT NULL CONSTRAINT exports_id_unique PRIMARY KEY,
    kind TEXT NOT NULL CONSTRAINT exports_kind_known CHECK (kind IN (
        'SUMMARY', 'PROJECT_FOLDER', 'ASSET', 'SUMMARY_ALL_LINKED', 'JOB_LEVEL', 'USAGE', 'COST')),
    source TEXT NOT NULL CONSTRAINT exports_source_known CHECK (source IN ('vendor', 'own')),
    organization_id TEXT NOT NULL
        CONSTRAINT exports_organization_known REFERENCES organizations (id),
    user_id TEXT CONSTRAINT exports_user_known REFERENCES users (id),
    start_text TEXT NOT NULL,
    end_text TEXT NOT NULL,
    meter_id TEXT,
    all_meters BOOLEAN NOT NULL,
    combined BOOLEAN NOT NULL,
    all_linked_orgs BOOLEAN NOT NULL,
    parameters TEXT,
    request_id TEXT,
    callback_url TEXT,
    idempotency_key TEXT,
    status TEXT NOT NULL CONSTRAINT exports_status_known CHECK (status IN (
        'CREATED', 'PROCESSING', 'SUCCESS', 'PARTIAL_SUCCESS', 'FAILED', 'EXPIRED', 'CANCELLED')),
    outcome TEXT CONSTRAINT exports_outcome_known CHECK (outcome IN (
        'SUCCESS', 'PARTIAL_SUCCESS', 'FAILED', 'CANCELLED')),
    as_of_asked BOOLEAN NOT NULL,
    as_of_sequence BIGINT,
    as_of_revision BIGINT,
    as_of_time BIGINT,
    layout_version BIGINT,
    archive_version BIGINT,
    fence BIGINT NOT NULL,
    lease_owner TEXT,
    lease_expires_at BIGINT,
    attempts BIGINT NOT NULL,
    progress_percent BIGINT NOT NULL CONSTRAINT exports_percent_known CHECK (
        progress_percent BETWEEN 0 AND 100),
    progress_rows BIGINT NOT NULL,
    error_message TEXT,
    artifact_path TEXT,
    artifact_bytes BIGINT,
    artifact_sha256 TEXT,
    artifact_expires_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT exports_as_of_whole CHECK (
        (as_of_sequence IS NULL) = (as_of_revision IS NULL)
        AND (as_of_sequence IS NULL) = (as_of_time IS NULL)),
    CONSTRAINT exports_versions_whole CHECK ((layout_version IS NULL) = (archive_version IS NULL)),
    CONSTRAINT exports_lease_whole CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL)),
    CONSTRAINT exports_processing_is_leased CHECK (
        status <> 'PROCESSING' OR (lease_owner IS NOT NULL AND as_of_sequence IS NOT NULL
            AND layout_version IS NOT NULL)),
    CONSTRAINT exports_ready_has_artifact CHECK (
        status NOT IN ('SUCCESS', 'PARTIAL_SUCCESS', 'EXPIRED') OR (artifact_path IS NOT NULL
            AND artifact_bytes IS NOT NULL AND artifact_sha256 IS NOT NULL
            AND artifact_expires_at IS NOT NULL))
);
CREATE UNIQUE INDEX exports_idempotency_unique ON exports (organization_id, idempotency_key);
CREATE INDEX exports_by_organization ON exports (organization_id, created_at, id);
CREATE INDEX exports_active ON exports (organization_id, status)
    WHERE status IN ('CREATED', 'PROCESSING');
CREATE INDEX exports_by_end ON exports (artifact_expires_at)
    WHERE status IN ('SUCCESS', 'PARTIAL_SUCCESS');

CREATE TABLE outbox (
    id TEXT NOT NULL CONSTRAINT outbox_id_unique PRIMARY KEY,
    event TEXT NOT NULL,
    url TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body TEXT NOT NULL,
    export_id TEXT CONSTRAINT outbox_export_known REFERENCES exports (id),
    state TEXT NOT NULL CONSTRAINT outbox_state_known CHECK (
        state IN ('pending', 'delivered', 'failed')),
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'pending';

CREATE TABLE instances (
    name TEXT NOT NULL CONSTRAINT instances_name_unique PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    lease_expires_at BIGINT NOT NULL
);
