//! Who credentials belong to, kept for a few seconds.
//!
//! Whatever ends or changes a credential on this server empties the cache at once; another server
//! of the same database follows within `limits.credential_cache_s`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use metadata::{ControlSnapshot, Key, KeyState, Role};

use super::caller::{Caller, Identity, Who};
use super::limiter::Limiter;
use super::reach::{Grant, Reaches};
use super::{Presented, sha256};
use crate::app::App;
use crate::error::{ApiError, ApiResult, Code};

/// Credentials kept in memory.
const ENTRIES_MAX: usize = 10_000;

/// Known credentials and the local administrator's token.
#[derive(Debug)]
pub struct Credentials {
    local_sha256: [u8; 32],
    generation: AtomicU64,
    entries: RwLock<HashMap<[u8; 32], Entry>>,
}

#[derive(Debug)]
struct Entry {
    caller: Caller,
    generation: u64,
    until: Timestamp,
}

impl Credentials {
    /// Knows nobody yet but the holder of `local_token`.
    pub fn new(local_token: &str) -> Self {
        Self {
            local_sha256: sha256(local_token),
            generation: AtomicU64::new(0),
            entries: RwLock::default(),
        }
    }

    /// Makes every later request look credentials up again.
    ///
    /// To be called after every change of keys, users, roles or sessions.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The caller a credential belongs to.
    pub(super) async fn caller(
        &self,
        app: &App,
        presented: Presented<'_>,
        acting_for: Option<&str>,
    ) -> ApiResult<Caller> {
        let secret_sha256 = sha256(presented.secret());
        let acting_for = acting_for.filter(|_| secret_sha256 == self.local_sha256);
        let name = match acting_for {
            Some(organization) => sha256(&[presented.secret(), organization].join(" ")),
            None => secret_sha256,
        };
        let generation = self.generation.load(Ordering::Acquire);
        let now = app.now();
        let limiter = match self.known(&name, generation, now) {
            Ok(caller) => return Ok(caller),
            Err(limiter) => limiter,
        };
        let lookup = Lookup { app, now, limiter };
        let identity = if secret_sha256 == self.local_sha256 {
            lookup.local(acting_for).await?
        } else {
            lookup.stored(presented, secret_sha256).await?
        };
        let caller = Caller(Arc::new(identity));
        self.keep(name, caller.clone(), generation, app);
        Ok(caller)
    }

    /// The caller while the entry is fresh, else what its requests were limited by.
    fn known(
        &self,
        name: &[u8; 32],
        generation: u64,
        now: Timestamp,
    ) -> Result<Caller, Arc<Limiter>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        match entries.get(name) {
            Some(entry) if entry.generation == generation && now < entry.until => {
                Ok(entry.caller.clone())
            }
            Some(entry) => Err(Arc::clone(&entry.caller.limiter)),
            None => Err(Arc::default()),
        }
    }

    fn keep(&self, name: [u8; 32], caller: Caller, generation: u64, app: &App) {
        let seconds = i64::try_from(app.config.limits.credential_cache_s).unwrap_or(0);
        let lifetime = jiff::SignedDuration::from_secs(seconds);
        let until = app.now().saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let entry = Entry {
            caller,
            generation,
            until,
        };
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(name, entry);
    }
}

/// One look into the database.
struct Lookup<'a> {
    app: &'a App,
    now: Timestamp,
    limiter: Arc<Limiter>,
}

impl Lookup<'_> {
    async fn stored(self, presented: Presented<'_>, sha256: [u8; 32]) -> ApiResult<Identity> {
        match presented {
            Presented::Key(_) => self.key(sha256).await,
            Presented::Session(_) => self.session(sha256).await,
            Presented::AccessToken(_) => Err(unknown()),
        }
    }

    async fn key(self, sha256: [u8; 32]) -> ApiResult<Identity> {
        let metadata = &self.app.metadata;
        let key = metadata.find_key_by_hash(&sha256).await?;
        let key = key.filter(|key| key.state(self.now) == KeyState::Live);
        let key = key.ok_or_else(unknown)?;
        self.note_use(&key);
        let (account, control) = self.control(key.organization).await?;
        let grants = [Grant::own(key.organization, key.role)];
        self.identity(account, control, &grants, Who::Key(key.id), false)
    }

    /// Notes the use apart from the request, which need not wait for it.
    fn note_use(&self, key: &Key) {
        let (metadata, key, now) = (self.app.metadata.clone(), key.clone(), self.now);
        tokio::spawn(async move {
            if let Err(error) = metadata.touch_key(&key, now).await {
                tracing::warn!(key.id = %key.id, "use of key {} not noted: {error}", key.id);
            }
        });
    }

    async fn session(self, token_sha256: [u8; 32]) -> ApiResult<Identity> {
        let used = self
            .app
            .metadata
            .use_session(&token_sha256, self.now)
            .await?;
        let (session, user) = used.ok_or_else(unknown)?;
        let held = self.app.metadata.list_roles(user.id).await?;
        let (account, control) = self.control(user.organization).await?;
        let grants = Grant::all(&held, user.organization, &control, self.now);
        let who = Who::Session {
            user: session.user,
            token_sha256,
        };
        self.identity(account, control, &grants, who, user.server_administrator)
    }

    async fn local(self, acting_for: Option<&str>) -> ApiResult<Identity> {
        let organization = match acting_for {
            Some(id) => id
                .parse()
                .map_err(|error: domain::ids::IdError| ApiError::invalid(error.to_string()))?,
            None => self.first_root().await?,
        };
        let (account, control) = self.control(organization).await?;
        let grants = [Grant::own(organization, Role::Owner)];
        self.identity(account, control, &grants, Who::Local, true)
    }

    /// The root of the oldest account, which is the one of the first start.
    async fn first_root(&self) -> ApiResult<OrganizationId> {
        let oldest = self.app.metadata.find_oldest_account().await?;
        oldest
            .map(|account| account.root)
            .ok_or_else(|| ApiError::not_found("account"))
    }

    /// The account of an organization, and its control data.
    async fn control(
        &self,
        organization: OrganizationId,
    ) -> ApiResult<(AccountId, ControlSnapshot)> {
        let metadata = &self.app.metadata;
        let account = metadata.find_account_of(organization).await?;
        let account = account
            .ok_or_else(|| ApiError::not_found("organization"))?
            .id;
        Ok((account, self.app.control.snapshot(metadata, account).await?))
    }

    fn identity(
        self,
        account: AccountId,
        control: ControlSnapshot,
        grants: &[Grant],
        who: Who,
        server_administrator: bool,
    ) -> ApiResult<Identity> {
        let roles = grants.iter().map(|grant| grant.role);
        let role = roles.max_by_key(|role| strength(*role)).ok_or_else(|| {
            let message = "the user has no role in its organization and none under it";
            ApiError::new(Code::Forbidden, message)
        })?;
        Ok(Identity {
            account,
            role,
            who,
            server_administrator,
            reaches: Reaches::new(grants, &control, self.now),
            control,
            limiter: self.limiter,
        })
    }
}

fn strength(role: Role) -> u8 {
    match role {
        Role::Owner => 3,
        Role::Operator => 2,
        Role::Analyst => 1,
        Role::Writer => 0,
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::Unauthenticated, Code::Unauthenticated.meaning())
}
