//! Logging in: a name and a password become a session. The steps shared by every door's login.

use std::net::IpAddr;

use domain::ids::OrganizationId;
use metadata::{ControlSnapshot, User, UserStatus};

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
    let throttle = app.login_throttle();
    throttle.check(name, Some(address)).await?;
    let user = match check_lengths(name, &given) {
        Ok(()) => app.metadata.find_user_by_name(name).await?,
        Err(refusal) => return Err(refusal),
    };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = password::verify(given, hash).await?;
    let user = user.filter(|user| right && user.status == UserStatus::Active);
    let Some(user) = user else {
        throttle.failed(name, Some(address)).await?;
        let message = "the user name or the password is wrong";
        return Err(ApiError::new(Code::WrongPassword, message));
    };
    throttle.succeeded(name).await?;
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

impl Throttle<'_> {
    /// Refuses when the window holds as many failures as it may.
    pub async fn check(&self, name: &str, address: Option<IpAddr>) -> ApiResult<()> {
        let limit = self.app.config.login.attempts_max;
        for (who, limit) in subjects(name, address, limit) {
            let (now, window) = (self.app.now(), self.window_s());
            let found = self
                .app
                .metadata
                .find_login_failures(&who, now, window)
                .await?;
            if let Some(failures) = found.filter(|failures| failures.count >= limit) {
                let passed_s = now.as_second() - failures.since.as_second();
                let wait_s = u64::try_from(window - passed_s).unwrap_or(0).max(1);
                let message = "too many failed logins: wait before the next one";
                return Err(ApiError::new(Code::TooManyLogins, message).retry_after(wait_s));
            }
        }
        Ok(())
    }

    /// Counts a failed login.
    pub async fn failed(&self, name: &str, address: Option<IpAddr>) -> ApiResult<()> {
        for (who, _) in subjects(name, address, 0) {
            let (now, window) = (self.app.now(), self.window_s());
            self.app
                .metadata
                .record_login_failure(&who, now, window)
                .await?;
        }
        Ok(())
    }

    /// Forgets the failures of a name whose owner is back.
    pub async fn succeeded(&self, name: &str) -> ApiResult<()> {
        let who = format!("user:{name}");
        Ok(self.app.metadata.clear_login_failures(&who).await?)
    }

    fn window_s(self) -> i64 {
        i64::from(self.app.config.login.attempts_window_s)
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
