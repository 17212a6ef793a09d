-- Who may come in. Digests are lower-case hexadecimal; secrets themselves are stored nowhere.

CREATE TABLE users (
    id TEXT NOT NULL CONSTRAINT users_id_unique PRIMARY KEY,
    name TEXT NOT NULL CONSTRAINT users_name_unique UNIQUE,
    password_hash TEXT NOT NULL,
    organization_id TEXT NOT NULL
        CONSTRAINT users_organization_known REFERENCES organizations (id),
    status TEXT NOT NULL CONSTRAINT users_status_known CHECK (status IN ('active', 'disabled')),
    server_administrator BOOLEAN NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    emails TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX users_by_organization ON users (organization_id, id);

CREATE TABLE role_assignments (
    user_id TEXT NOT NULL CONSTRAINT role_assignments_user_known REFERENCES users (id),
    organization_id TEXT NOT NULL
        CONSTRAINT role_assignments_organization_known REFERENCES organizations (id),
    role TEXT NOT NULL CONSTRAINT role_assignments_role_known CHECK (
        role IN ('owner', 'operator', 'writer', 'analyst')),
    created_at BIGINT NOT NULL,
    CONSTRAINT role_assignments_unique PRIMARY KEY (user_id, organization_id, role)
);

CREATE TABLE sessions (
    token_sha256 TEXT NOT NULL CONSTRAINT sessions_token_unique PRIMARY KEY,
    user_id TEXT NOT NULL CONSTRAINT sessions_user_known REFERENCES users (id),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_use ON sessions (last_used_at);

CREATE TABLE login_failures (
    who TEXT NOT NULL CONSTRAINT login_failures_who_unique PRIMARY KEY,
    failures BIGINT NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX login_failures_by_start ON login_failures (since);

CREATE TABLE api_keys (
    id TEXT NOT NULL CONSTRAINT keys_id_unique PRIMARY KEY,
    secret_sha256 TEXT NOT NULL CONSTRAINT keys_secret_unique UNIQUE,
    name TEXT NOT NULL,
    organization_id TEXT NOT NULL
        CONSTRAINT keys_organization_known REFERENCES organizations (id),
    role TEXT NOT NULL CONSTRAINT keys_role_known CHECK (
        role IN ('owner', 'operator', 'writer', 'analyst')),
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    replaces TEXT CONSTRAINT keys_replaced_known REFERENCES api_keys (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX keys_by_organization ON api_keys (organization_id, id);
