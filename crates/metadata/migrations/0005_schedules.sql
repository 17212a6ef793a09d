-- Schedules of our own export API, and the period an export was made for.
-- Days are texts such as 2026-01-31: the first one included, the one after the last not.

CREATE TABLE export_schedules (
    id TEXT NOT NULL CONSTRAINT export_schedules_id_unique PRIMARY KEY,
    organization_id TEXT NOT NULL
        CONSTRAINT export_schedules_organization_known REFERENCES organizations (id),
    user_id TEXT CONSTRAINT export_schedules_user_known REFERENCES users (id),
    kind TEXT NOT NULL CONSTRAINT export_schedules_kind_known CHECK (kind IN (
        'SUMMARY', 'PROJECT_FOLDER', 'ASSET', 'JOB_LEVEL', 'USAGE', 'COST')),
    combined BOOLEAN NOT NULL,
    parameters TEXT NOT NULL,
    callback_url TEXT,
    rhythm TEXT NOT NULL CONSTRAINT export_schedules_rhythm_known CHECK (
        rhythm IN ('daily', 'monthly')),
    delay_hours BIGINT NOT NULL CONSTRAINT export_schedules_delay_known CHECK (
        delay_hours BETWEEN 0 AND 72),
    paused BOOLEAN NOT NULL,
    next_from TEXT NOT NULL,
    next_to TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX export_schedules_by_organization
    ON export_schedules (organization_id, created_at, id);
CREATE INDEX export_schedules_due ON export_schedules (due_at) WHERE NOT paused;

-- A schedule may be deleted; its exports keep its id.
ALTER TABLE exports ADD COLUMN schedule_id TEXT;
ALTER TABLE exports ADD COLUMN period_from TEXT;
ALTER TABLE exports ADD COLUMN period_to TEXT;
CREATE UNIQUE INDEX exports_period_unique ON exports (schedule_id, period_from);
