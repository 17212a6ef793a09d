-- Who is told of events, and what the outbox keeps of each message.

INSERT INTO locks (name, taken) VALUES ('webhooks', 0);

-- Secrets sign every message, so they are kept as they are. One without a URL signs the callbacks
-- of its organization's jobs.
CREATE TABLE webhooks (
    id TEXT NOT NULL CONSTRAINT webhooks_id_unique PRIMARY KEY,
    organization_id TEXT NOT NULL
        CONSTRAINT webhooks_organization_known REFERENCES organizations (id),
    url TEXT,
    description TEXT NOT NULL,
    event_types TEXT NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until BIGINT,
    disabled_at BIGINT,
    disabled_reason TEXT,
    deleted_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT webhooks_old_secret_whole CHECK (
        (old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT webhooks_disabled_whole CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);
CREATE INDEX webhooks_by_organization ON webhooks (organization_id, id);
CREATE UNIQUE INDEX webhooks_callbacks_unique ON webhooks (organization_id)
    WHERE url IS NULL AND deleted_at IS NULL;

-- A lane is one organization's messages to one host; claiming goes from lane to lane.
ALTER TABLE outbox ADD COLUMN webhook_id TEXT
    CONSTRAINT outbox_webhook_known REFERENCES webhooks (id);
ALTER TABLE outbox ADD COLUMN organization_id TEXT
    CONSTRAINT outbox_organization_known REFERENCES organizations (id);
ALTER TABLE outbox ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN lane TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN attempts_before BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN queued_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN last_status BIGINT;
ALTER TABLE outbox ADD COLUMN last_attempt_at BIGINT;
ALTER TABLE outbox ADD COLUMN response_ms BIGINT;
UPDATE outbox SET host = url, queued_at = created_at,
    organization_id = (SELECT organization_id FROM exports WHERE exports.id = outbox.export_id);
UPDATE outbox SET lane = coalesce(organization_id, '') || ' ' || host;
CREATE INDEX outbox_lanes ON outbox (lane, next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX outbox_by_webhook ON outbox (webhook_id, created_at, id);
CREATE INDEX outbox_by_age ON outbox (created_at);
DROP INDEX outbox_due;

-- Hosts whose last tries failed; a closed one is left alone for a while.
CREATE TABLE receivers (
    host TEXT NOT NULL CONSTRAINT receivers_host_unique PRIMARY KEY,
    failures BIGINT NOT NULL,
    closed_until BIGINT NOT NULL,
    failed_at BIGINT NOT NULL
);
