//! Quotas: who is admitted, and what is counted when a question has used it.
//!
//! Every request counts for the principal, the address that it comes from, and the app; each of them may have limits. A question is
//! admitted before anything is stored for it, and what was admitted in vain is taken back. What it uses is charged with each step that is
//! committed, so a limit on tokens or seconds is passed by what is under way at most. Places among the questions that are answered at once
//! are given back when the turn ends, and are over by themselves when it cannot run any more.
//!
//! Requests are drawn from the ledger in blocks of a sixteenth of the limit, so that few of them ask it: a poll costs nothing but a look
//! into memory. Nothing is admitted beyond the limit by that; what an instance has drawn and not used is lost at the end of the minute.
//!
//! No turn begins without an [`Admission`], and nobody else makes one. What is used is charged by `charge`.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use super::{RequestError, Service, StartError, Started};
use crate::{
    conversation::{Account, Caller, Conversation, ConversationId, FollowUp, NewConversation, Scope, Timestamp},
    limit::{
        Ledger, Limits, Measure, Quota, Standing, Unavailable,
        accounts::{self, Accounts},
        book::{self, Claim, Holder, MINUTE, Used},
    },
    telemetry::Instruments,
    warehouse::behalf::Proof,
};

/// Into how many blocks the requests of a minute are cut.
const BLOCKS: u64 = 16;

/// Accounts of one minute that are remembered; beyond that their blocks are drawn anew.
const MOST_ACCOUNTS: usize = 100_000;

/// How much longer than a turn a place is held: until the worker that ends the turn late has done so.
const PLACE_GRACE: Duration = Duration::from_secs(300);

/// What happens while the ledger does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    /// Everything is admitted.
    Open,
    /// Nothing is.
    Closed,
}

/// What may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// By each principal.
    pub principal: Limits,
    /// By each client address.
    pub address: Limits,
    /// By all together.
    pub app: Limits,
    /// What happens while the ledger does not answer.
    pub fails: Fails,
}

impl Policy {
    /// What accounts of this kind may use.
    fn limits(&self, scope: Scope) -> &Limits {
        match scope {
            Scope::Principal => &self.principal,
            Scope::Address => &self.address,
            Scope::App => &self.app,
        }
    }

    /// Whether anything is limited.
    #[must_use]
    pub fn is_limiting(&self) -> bool {
        [self.principal, self.address, self.app].iter().any(|limits| *limits != Limits::default())
    }
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Asker<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The address, or the network that counts as one; none where it is not known.
    pub network: Option<String>,
    /// What the caller is proven by; there where queries run in the caller's name.
    pub proof: Option<Proof>,
}

impl<'a> Asker<'a> {
    /// A caller within this process.
    #[must_use]
    pub fn local(caller: &'a Caller) -> Self {
        Self { caller, network: None, proof: None }
    }

    fn accounts(&self) -> impl Iterator<Item = (Account, Scope)> {
        let principal = self.caller.owner().map(|owner| (Account::of_principal(owner), Scope::Principal));
        let address = self.network.as_deref().map(|network| (Account::of_address(network), Scope::Address));
        principal.into_iter().chain(address).chain([(Account::of_app(), Scope::App)])
    }
}

/// Why a request is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum Limited {
    /// A quota is used up.
    #[error("{}", Reached(.0))]
    Reached(Standing),
    /// So much is counted at once for the same account that there is no time for more. The ledger answers.
    #[error("too many questions and requests are counted at once; try again shortly")]
    Busy,
    /// The ledger does not answer, and nothing is admitted without it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A quota that is used up, in words for whoever met it.
struct Reached<'a>(&'a Standing);

impl fmt::Display for Reached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standing { quota: Quota { scope, measure }, limit, resets_after, .. } = self.0;
        let who = match scope {
            Scope::Principal => "you have",
            Scope::Address => "your address has",
            Scope::App => "all together have",
        };
        match measure {
            Measure::Requests => write!(f, "{who} sent the {limit} requests of this minute")?,
            Measure::AtOnce => write!(f, "{who} {limit} questions being answered, which is as many as there may be at once")?,
            Measure::Questions => write!(f, "{who} asked the {limit} questions of this day")?,
            Measure::Tokens => write!(f, "{who} used the {limit} model tokens of this day")?,
            Measure::Warehouse => write!(f, "{who} used the {limit} s of this day in the warehouse")?,
        }
        let minutes = resets_after.as_secs().div_ceil(60);
        match (measure, minutes / 60) {
            (Measure::AtOnce, _) => f.write_str("; try again when one of them has ended"),
            (Measure::Requests, _) => write!(f, "; try again in {} s", resets_after.as_secs() + 1),
            (_, 0) => write!(f, "; try again after midnight UTC, in {minutes} min"),
            (_, hours) => write!(f, "; try again after midnight UTC, in {hours} h {} min", minutes % 60),
        }
    }
}

/// What this process has drawn of the requests of a minute.
#[derive(Debug, Default)]
struct Drawn {
    minute: i64,
    shares: HashMap<Account, Share>,
}

/// Of one account.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Drawn, and not used yet.
    held: u64,
    /// What the ledger had left when it was asked last.
    beyond: u64,
}

/// What became of a request: how many are left after it, or none where it is not admitted.
type Taken = Option<u64>;

enum Draw {
    Known(Taken),
    Drawn(Share),
}

/// What lets a turn begin: whoever asks for it was admitted with it.
#[derive(Debug)]
pub(super) struct Admission {
    claim: Claim,
    at: Timestamp,
    /// What the use of the turn counts for.
    accounts: Vec<Account>,
    /// Where it was counted.
    counted: Vec<(Account, Scope)>,
    standings: Vec<Standing>,
}

impl Admission {
    fn new(conversation: ConversationId, turn: u32, at: Timestamp) -> Self {
        let claim = Claim::new(Holder::new(conversation, turn), Uuid::new_v4());
        Self { claim, at, accounts: Vec::new(), counted: Vec::new(), standings: Vec::new() }
    }

    /// That of a turn which counts for nobody, because nobody is held to anything.
    pub(super) fn uncounted(conversation: ConversationId, turn: u32) -> Self {
        Self::new(conversation, turn, Timestamp::now())
    }

    fn is_for(&self, begun: &Conversation) -> bool {
        *self.claim.holder() == Holder::new(begun.id, begun.turn)
    }

    /// `begun`, whose turn this admits, with what its use counts for.
    pub(super) fn counting(&self, begun: Conversation) -> Conversation {
        Conversation { accounts: self.accounts.clone(), ..begun }
    }
}

/// Who began the turn that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Began {
    /// The request.
    Now,
    /// Another one with the same idempotency key.
    Before,
}

/// For what a request is counted, as metrics name it.
const REQUEST: &str = "request";
const QUESTION: &str = "question";

/// Quotas over a ledger.
pub struct Quotas {
    accounts: Accounts,
    policy: Policy,
    drawn: Mutex<Drawn>,
}

impl Quotas {
    /// Holds `policy` by the books of `ledger`.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, policy: Policy) -> Self {
        Self { accounts: Accounts::new(ledger), policy, drawn: Mutex::default() }
    }

    /// The ledger.
    pub(super) fn ledger(&self) -> &dyn Ledger {
        self.accounts.ledger()
    }

    async fn admit_request(&self, asker: &Asker<'_>, now: Timestamp, instruments: &Instruments) -> Result<Vec<Standing>, Limited> {
        let mut standings = Vec::new();
        let mut is_counted = true;
        for (account, scope) in asker.accounts() {
            let Some(limit) = self.policy.limits(scope).requests else { continue };
            let quota = Quota { scope, measure: Measure::Requests };
            let standing = |left| Standing { quota, limit, left, resets_after: book::resets_after(Measure::Requests, now) };
            match self.take_request(&account, limit, now).await {
                Ok(Some(left)) => standings.push(standing(left)),
                Ok(None) => return Err(Limited::Reached(standing(0))),
                Err(fault) => {
                    self.without_ledger(fault)?;
                    is_counted = false;
                }
            }
        }
        if !is_counted {
            instruments.uncounted(REQUEST);
        }
        Ok(standings)
    }

    async fn take_request(&self, account: &Account, limit: u64, now: Timestamp) -> Result<Taken, accounts::Fault> {
        let minute = book::window(now, MINUTE);
        if let Some(taken) = self.take_held(account, minute) {
            return Ok(taken);
        }
        let known = || self.take_held(account, minute).map(Draw::Known);
        let draw = self.accounts.change_unless(account, known, |book| {
            let held = book.draw((limit / BLOCKS).max(1), limit, now);
            Draw::Drawn(Share { held, beyond: limit.saturating_sub(book.requests()) })
        });
        Ok(match draw.await? {
            Draw::Known(taken) => taken,
            Draw::Drawn(share) => self.take_drawn(account, minute, share),
        })
    }

    /// Takes a request out of what is held; none where the ledger has to be asked.
    fn take_held(&self, account: &Account, minute: i64) -> Option<Taken> {
        let mut drawn = self.drawn_in(minute);
        let share = drawn.shares.get_mut(account)?;
        match (share.held, share.beyond) {
            (0, 0) => Some(None),
            (0, _) => None,
            (held, beyond) => {
                share.held = held - 1;
                Some(Some(share.held.saturating_add(beyond)))
            }
        }
    }

    fn take_drawn(&self, account: &Account, minute: i64, Share { held, beyond }: Share) -> Taken {
        let mut drawn = self.drawn_in(minute);
        let share = drawn.shares.entry(account.clone()).or_default();
        *share = Share { held: share.held + held, beyond };
        drop(drawn);
        self.take_held(account, minute).flatten()
    }

    /// What is drawn of `minute`. A clock that goes back is still in the later minute.
    fn drawn_in(&self, minute: i64) -> std::sync::MutexGuard<'_, Drawn> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.minute < minute || drawn.shares.len() > MOST_ACCOUNTS {
            *drawn = Drawn { minute, shares: HashMap::new() };
        }
        drawn
    }

    /// Counts the turn of `admission` for `asker`, everywhere or nowhere.
    async fn admit(
        &self,
        asker: &Asker<'_>,
        mut admission: Admission,
        life: Duration,
        instruments: &Instruments,
    ) -> Result<Admission, Limited> {
        let now = admission.at;
        let mut is_counted = true;
        for (account, scope) in asker.accounts() {
            let limits = self.policy.limits(scope);
            if !limits.concern_questions() {
                continue;
            }
            let admitted = self.accounts.change(&account, |book| {
                let admitted = book.admit(&admission.claim, life, limits, now);
                (admitted, book.standings(scope, &Measure::OF_QUESTIONS, limits, now))
            });
            let refusal = match admitted.await {
                Ok((Ok(()), standings)) => {
                    admission.counted.push((account.clone(), scope));
                    admission.standings.extend(standings);
                    None
                }
                Ok((Err(measure), standings)) => {
                    standings.into_iter().find(|standing| standing.quota.measure == measure).map(Limited::Reached)
                }
                Err(fault) => {
                    is_counted = false;
                    self.without_ledger(fault).err()
                }
            };
            if let Some(refusal) = refusal {
                self.withdraw(&admission).await;
                return Err(refusal);
            }
            admission.accounts.push(account);
        }
        if !is_counted {
            instruments.uncounted(QUESTION);
        }
        Ok(admission)
    }

    /// Takes an admission back that nothing came of.
    async fn withdraw(&self, admission: &Admission) {
        for (account, scope) in &admission.counted {
            let limits = self.policy.limits(*scope);
            let withdrawn = self.accounts.note(account, |book| book.withdraw(&admission.claim, limits, admission.at)).await;
            if let Err(error) = withdrawn {
                tracing::warn!(%error, %account, "a question that was not taken counts all the same");
            }
        }
    }

    /// Counts what a turn has used, and gives its place back when it has ended.
    pub(super) async fn settle(&self, accounts: &[Account], used: Used, ended: Option<&Holder>, now: Timestamp) {
        for account in accounts {
            let Some(scope) = account.scope() else { continue };
            let limits = self.policy.limits(scope);
            let is_charged = used != Used::default() && (limits.tokens.is_some() || limits.warehouse.is_some());
            let ended = ended.filter(|_| limits.at_once.is_some());
            if !is_charged && ended.is_none() {
                continue;
            }
            let settled = self.accounts.note(account, |book| {
                if is_charged {
                    book.charge(used, now);
                }
                if let Some(holder) = ended {
                    book.release(holder);
                }
            });
            if let Err(error) = settled.await {
                tracing::warn!(%error, %account, tokens = used.tokens, warehouse_ms = used.warehouse_ms, "what a question used is not counted");
            }
        }
    }

    /// Whether a request is admitted that could not be counted. That there was no time for it is no reason to.
    fn without_ledger(&self, fault: accounts::Fault) -> Result<(), Limited> {
        match (fault, self.policy.fails) {
            (accounts::Fault::Busy, _) => Err(Limited::Busy),
            (accounts::Fault::Unavailable(error), Fails::Open) => {
                tracing::warn!(%error, "admitted a request without counting it");
                Ok(())
            }
            (accounts::Fault::Unavailable(error), Fails::Closed) => Err(Limited::Unavailable(error)),
        }
    }
}

impl Service {
    /// The same, but whoever asks is held to `quotas`.
    #[must_use]
    pub fn within(self, quotas: Quotas) -> Self {
        self.with(|parts| parts.quotas = Some(Arc::new(quotas)))
    }

    /// Admits a request of any kind, and tells how the quotas stand that count it.
    ///
    /// # Errors
    /// [`Limited`].
    pub async fn admit_request(&self, asker: &Asker<'_>) -> Result<Vec<Standing>, Limited> {
        match &self.quotas {
            Some(quotas) => Box::pin(quotas.admit_request(asker, Self::now(), &self.instruments)).await,
            None => Ok(Vec::new()),
        }
    }

    /// Starts a conversation for `asker`, as [`Service::start`] does, and tells how the quotas stand that count it. Where its answer need not
    /// be fresh and the same question was answered lately, it has ended with that answer by the time that this returns. A request that was sent again, with the same idempotency key, is not another question.
    ///
    /// # Errors
    /// [`StartError`]: nothing was promised to the client, no worker will act, and nothing counts.
    pub async fn start_for(&self, asker: &Asker<'_>, new: NewConversation, is_fresh: bool) -> Result<(Started, Vec<Standing>), StartError> {
        let id = new.id;
        let is_asked = self.quotas.is_some() || self.behalf.is_some();
        if is_asked && self.has_begun(&new).await? {
            return Ok((Started { id }, Vec::new()));
        }
        let admission = self.admit(asker, id, 1).await?;
        let began = async {
            let answers = self.answers.as_deref().filter(|_| !is_fresh);
            let delegation = self.delegation(asker, id).await?;
            self.begin(new, answers, &admission, delegation).await
        };
        let began = Box::pin(began).await;
        Ok((Started { id }, self.concluded(Some(admission), began).await?))
    }

    /// Asks the next question in a conversation and wakes a worker; tells how the quotas stand that count it. A request that was sent again,
    /// with the same idempotency key, finds the turn that the first one began.
    ///
    /// # Errors
    /// [`RequestError`]: nothing was promised to the client, no worker will act, and nothing counts.
    pub async fn follow_up(&self, asker: &Asker<'_>, id: ConversationId, asked: &FollowUp) -> Result<Vec<Standing>, RequestError> {
        let mut held = None;
        let began = Box::pin(self.begin_turn(asker, id, asked, &mut held)).await;
        self.concluded(held, began).await
    }

    /// The admission to the turn of `begun`, which is about to begin. It is kept in `held`, so that a second try has it; one that is there for
    /// an earlier turn, which somebody else has begun meanwhile, is taken back.
    pub(super) async fn admit_to<'a>(
        &self,
        asker: &Asker<'_>,
        begun: &Conversation,
        held: &'a mut Option<Admission>,
    ) -> Result<&'a Admission, Limited> {
        let admission = match held.take() {
            Some(admission) if admission.is_for(begun) => admission,
            other => {
                self.withdraw(other).await;
                self.admit(asker, begun.id, begun.turn).await?
            }
        };
        Ok(held.insert(admission))
    }

    async fn admit(&self, asker: &Asker<'_>, id: ConversationId, turn: u32) -> Result<Admission, Limited> {
        let Some(quotas) = &self.quotas else { return Ok(Admission::uncounted(id, turn)) };
        let life = self.budgets.turn + self.budgets.cancellation + PLACE_GRACE;
        Box::pin(quotas.admit(asker, Admission::new(id, turn, Self::now()), life, &self.instruments)).await
    }

    /// How the quotas stand that count a turn. Where the request did not begin it, its admission is taken back.
    async fn concluded<E>(&self, held: Option<Admission>, began: Result<Began, E>) -> Result<Vec<Standing>, E> {
        match (held, began) {
            (Some(admission), Ok(Began::Now)) => Ok(admission.standings),
            (held, began) => {
                self.withdraw(held).await;
                began.map(|_| Vec::new())
            }
        }
    }

    async fn withdraw(&self, held: Option<Admission>) {
        if let (Some(quotas), Some(admission)) = (&self.quotas, &held) {
            Box::pin(quotas.withdraw(admission)).await;
        }
    }
}
