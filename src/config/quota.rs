//! Reads what callers may use.

use super::{Auth, AuthMode, Quotas, Reader, UseLimits, variables::AZURE_INSTANCE};

/// Most that a limit may be: far beyond any use, and exact wherever numbers are doubles.
const MOST: u64 = 1 << 50;
/// Most questions at once: each is written down in the account's book.
const MOST_AT_ONCE: u64 = 1000;

/// Variables of one kind of account: requests, questions at once, questions, tokens, seconds of the warehouse.
type Names = [&'static str; 5];

const PRINCIPAL: Names = [
    "QUOTA_PRINCIPAL_REQUESTS_PER_MINUTE",
    "QUOTA_PRINCIPAL_QUESTIONS_AT_ONCE",
    "QUOTA_PRINCIPAL_QUESTIONS_PER_DAY",
    "QUOTA_PRINCIPAL_TOKENS_PER_DAY",
    "QUOTA_PRINCIPAL_WAREHOUSE_SECONDS_PER_DAY",
];
const ADDRESS: Names = [
    "QUOTA_ADDRESS_REQUESTS_PER_MINUTE",
    "QUOTA_ADDRESS_QUESTIONS_AT_ONCE",
    "QUOTA_ADDRESS_QUESTIONS_PER_DAY",
    "QUOTA_ADDRESS_TOKENS_PER_DAY",
    "QUOTA_ADDRESS_WAREHOUSE_SECONDS_PER_DAY",
];
const APP: Names = [
    "QUOTA_APP_REQUESTS_PER_MINUTE",
    "QUOTA_APP_QUESTIONS_AT_ONCE",
    "QUOTA_APP_QUESTIONS_PER_DAY",
    "QUOTA_APP_TOKENS_PER_DAY",
    "QUOTA_APP_WAREHOUSE_SECONDS_PER_DAY",
];

impl<L: Fn(&str) -> Option<String>> Reader<'_, L> {
    pub(super) fn quotas(&mut self, auth: &Auth) -> Quotas {
        let fails_open = match self.text("QUOTA_FAILS").as_deref() {
            None | Some("open") => true,
            Some("closed") => false,
            Some(other) => {
                self.fault("QUOTA_FAILS", format!("{other:?} is neither open nor closed"));
                false
            }
        };
        let trusted_proxies = self.number("TRUSTED_PROXIES", 0, 0, 10);
        if matches!(auth.mode, AuthMode::Anonymous { .. }) {
            self.refuse_set(&PRINCIPAL, "it is set, but AUTH_MODE is anonymous: nobody signs in, so set the quota of each address instead");
        }
        // There the peer is always the host of the functions.
        if trusted_proxies == 0 && (self.lookup)(AZURE_INSTANCE).is_some() {
            self.refuse_set(&ADDRESS, "it is set, but TRUSTED_PROXIES is not: in Azure every request comes from a proxy");
        }
        Quotas {
            principal: self.use_limits(&PRINCIPAL),
            address: self.use_limits(&ADDRESS),
            app: self.use_limits(&APP),
            fails_open,
            trusted_proxies,
        }
    }

    fn refuse_set(&mut self, names: &Names, fault: &str) {
        for name in names {
            if self.is_set(name) {
                self.fault(name, fault);
            }
        }
    }

    fn use_limits(&mut self, [requests, at_once, questions, tokens, warehouse]: &Names) -> UseLimits {
        UseLimits {
            requests_per_minute: self.limit(requests, MOST),
            questions_at_once: self.limit(at_once, MOST_AT_ONCE),
            questions_per_day: self.limit(questions, MOST),
            tokens_per_day: self.limit(tokens, MOST),
            warehouse_seconds_per_day: self.limit(warehouse, MOST),
        }
    }

    /// A limit; none where it is not set. 0 is refused: it would be taken for no limit by one, and for no use at all by another.
    fn limit(&mut self, name: &'static str, most: u64) -> Option<u64> {
        let text = self.text(name)?;
        if text.parse() == Ok(0_u64) {
            self.fault(name, "0 would let nobody do anything; unset it for no limit");
            return None;
        }
        Some(self.number(name, most, 1, most))
    }
}
