//! Logging in: a name and a password become a session. The steps shared by every door's login.

use std::net::IpAddr;

use domain::ids::OrganizationId;
use metadata::{ControlSnapshot, LoginFailures, User, UserStatus};

use crate::app::App;
use crate::auth::password::{self, PASSWORD_CHARS_MAX};
use crate::auth::sha256;
use crate::error::{ApiError, ApiResult, Code};
use crate::random;

/// Failed logins of one address are refused at this many times the limit of one user name: many
/// people may share an address.
const ADDRESS_FACTOR: u32 = 10;

/// A session just started.
#[derive(Debug)]
pub struct Login {
    /// Value of the session header.
    pub session: String,
    /// Who logged in.
    pub user: User,
    /// Control data of the user's account.
    pub control: ControlSnapshot,
}

impl Login {
    /// The organization above the user's, when there is one.
    pub fn parent(&self, app: &App) -> Option<OrganizationId> {
        self.control.parent(self.user.organization, app.now())
    }

    /// Name of the user's organization.
    pub fn organization_name(&self) -> &str {
        let organization = self.control.organization(self.user.organization);
        organization.map_or("", |organization| organization.newest().name.as_str())
    }
}

/// Starts a session, unless name or password are wrong or too many attempts failed.
pub async fn log_in(app: &App, name: &str, given: String, address: IpAddr) -> ApiResult<Login> {
    check_lengths(name, &given)?;
    let attempt = app.login_throttle().attempt(name, Some(address)).await?;
    let user = match verified(app, name, given).await {
        Ok(user) => user,
        Err(error) => {
            // The password was not looked at: that is no guess.
            attempt.give_back().await?;
            return Err(error);
        }
    };
    let Some(user) = user else {
        let message = "the user name or the password is wrong";
        return Err(ApiError::new(Code::WrongPassword, message));
    };
    attempt.succeeded().await?;
    let session = random::secret();
    let (digest, now) = (sha256(&session), app.now());
    app.metadata.insert_session(&digest, user.id, now).await?;
    let account = app.metadata.find_account_of(user.organization).await?;
    let account = account.ok_or_else(|| ApiError::not_found("account"))?;
    let control = app.control.snapshot(&app.metadata, account.id).await?;
    Ok(Login {
        session,
        user,
        control,
    })
}

/// The user, when name and password are right.
async fn verified(app: &App, name: &str, given: String) -> ApiResult<Option<User>> {
    let user = app.metadata.find_user_by_name(name).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = password::verify(given, hash).await?;
    Ok(user.filter(|user| right && user.status == UserStatus::Active))
}

fn check_lengths(name: &str, given: &str) -> ApiResult<()> {
    let fits = |text: &str| (1..=PASSWORD_CHARS_MAX).contains(&text.chars().count());
    if fits(name) && fits(given) {
        return Ok(());
    }
    let message = format!("username and password have 1 to {PASSWORD_CHARS_MAX} characters");
    Err(ApiError::invalid(message))
}

/// Refuses logins of names and addresses with too many failed ones.
#[derive(Debug, Clone, Copy)]
pub struct Throttle<'a> {
    app: &'a App,
}

impl App {
    /// Counts failed logins.
    pub fn login_throttle(&self) -> Throttle<'_> {
        Throttle { app: self }
    }
}

/// One attempt that is counted as failed until it is given back.
#[derive(Debug)]
pub struct Attempt<'a> {
    throttle: Throttle<'a>,
    name: String,
    counted: Vec<(String, LoginFailures)>,
}

impl<'a> Throttle<'a> {
    /// Counts an attempt before its password is looked at; refuses it when the window holds as
    /// many as it may. Parallel guesses cannot pass the limit together.
    pub async fn attempt(self, name: &str, address: Option<IpAddr>) -> ApiResult<Attempt<'a>> {
        let mut attempt = Attempt {
            throttle: self,
            name: name.to_owned(),
            counted: Vec::new(),
        };
        let (metadata, now, window) = (&self.app.metadata, self.app.now(), self.window_s());
        for (who, limit) in subjects(name, address, self.app.config.login.attempts_max) {
            let taken = metadata.take_login_attempt(&who, limit, now, window);
            if let Some(taken) = taken.await? {
                attempt.counted.push((who, taken));
                continue;
            }
            attempt.give_back().await?;
            return Err(self.refusal(&who).await?);
        }
        Ok(attempt)
    }

    async fn refusal(self, who: &str) -> ApiResult<ApiError> {
        let (now, window) = (self.app.now(), self.window_s());
        let found = self.app.metadata.find_login_failures(who, now, window);
        let since = found.await?.map_or(now, |failures| failures.since);
        let passed_s = now.as_second() - since.as_second();
        let wait_s = u64::try_from(window - passed_s).unwrap_or(0).max(1);
        let message = "too many failed logins: wait before the next one";
        Ok(ApiError::new(Code::TooManyLogins, message).retry_after(wait_s))
    }

    /// Forgets the failures of a name whose owner is back.
    pub async fn forget(self, name: &str) -> ApiResult<()> {
        let who = format!("user:{name}");
        Ok(self.app.metadata.clear_login_failures(&who).await?)
    }

    fn window_s(self) -> i64 {
        i64::from(self.app.config.login.attempts_window_s)
    }
}

impl Attempt<'_> {
    /// The password was right: the name's failures are forgotten, its address keeps the others.
    pub async fn succeeded(self) -> ApiResult<()> {
        self.throttle.forget(&self.name).await?;
        self.give_back().await
    }

    /// Takes the attempt back.
    pub async fn give_back(self) -> ApiResult<()> {
        for (who, taken) in self.counted {
            let metadata = &self.throttle.app.metadata;
            metadata.give_back_login_attempt(&who, taken).await?;
        }
        Ok(())
    }
}

/// Whose failures count, each with its limit.
fn subjects(name: &str, address: Option<IpAddr>, limit: u32) -> Vec<(String, u32)> {
    let user = (format!("user:{name}"), limit);
    let address = address.map(|address| {
        let who = format!("address:{}", network(address));
        (who, limit.saturating_mul(ADDRESS_FACTOR))
    });
    [user].into_iter().chain(address).collect()
}

/// An IPv4 address, or the /64 an IPv6 address lies in: one customer has all of that.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(prefix.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_customer_counts_as_one_address() {
        let whose = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(whose("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(whose("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
