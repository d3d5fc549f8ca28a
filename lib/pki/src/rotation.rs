//! Replacing an authority so that nobody is cut off: the new one is trusted first, used later, the former one removed last.
//!
//! Pure: what is trusted, who signs, what comes next and when. Where the authorities lie (a [folder](crate::folder), a Secret) and how what is told here
//! reaches those who must trust, is the caller's.

use std::time::Duration;

use jiff::Timestamp;

/// Where a replacement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// There is one authority, and none on its way.
    Settled,
    /// A new authority is trusted, and not used yet.
    Trusted,
    /// The new authority issues; the former one is still trusted.
    Used,
}

/// A step that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// 1: there is a new authority, trusted and not used yet.
    Trusted,
    /// 2: the new authority issues; the former one is still trusted.
    Used,
    /// 3: the former authority is trusted no longer.
    Removed,
}

impl Stage {
    /// The step that leads on.
    #[must_use]
    pub const fn next(self) -> Step {
        match self {
            Self::Settled => Step::Trusted,
            Self::Trusted => Step::Used,
            Self::Used => Step::Removed,
        }
    }
}

/// The authorities that there are, by what each is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities<A> {
    /// It issues and is trusted.
    Settled(A),
    /// Both are trusted.
    Trusted {
        /// It issues.
        issuing: A,
        /// It will.
        next: A,
    },
    /// Both are trusted.
    Used {
        /// It issued what is not replaced yet.
        former: A,
        /// It issues.
        issuing: A,
    },
}

impl<A> Authorities<A> {
    /// Where the replacement stands.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Settled(_) => Stage::Settled,
            Self::Trusted { .. } => Stage::Trusted,
            Self::Used { .. } => Stage::Used,
        }
    }

    /// Who signs.
    #[must_use]
    pub const fn issuing(&self) -> &A {
        let (Self::Settled(issuing) | Self::Trusted { issuing, .. } | Self::Used { issuing, .. }) = self;
        issuing
    }

    /// Who is trusted, the elder first.
    pub fn trusted(&self) -> impl Iterator<Item = &A> {
        let (elder, younger) = match self {
            Self::Settled(only) => (only, None),
            Self::Trusted { issuing, next } => (issuing, Some(next)),
            Self::Used { former, issuing } => (former, Some(issuing)),
        };
        std::iter::once(elder).chain(younger)
    }

    /// After the next step, which brings in what `new` makes if it is the first.
    pub fn advanced<E>(self, new: impl FnOnce() -> Result<A, E>) -> Result<Self, E> {
        Ok(match self {
            Self::Settled(issuing) => Self::Trusted { issuing, next: new()? },
            Self::Trusted { issuing: former, next: issuing } => Self::Used { former, issuing },
            Self::Used { issuing, .. } => Self::Settled(issuing),
        })
    }
}

impl<A: AsRef<str>> Authorities<A> {
    /// All that is trusted as one text, of certificates in PEM.
    #[must_use]
    pub fn bundle(&self) -> String {
        self.trusted().flat_map(|pem| [pem.as_ref().trim_end(), "\n"]).collect()
    }
}

/// What the next step depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Where the replacement stands.
    pub stage: Stage,
    /// When the issuing authority is to be replaced by itself.
    pub due: Timestamp,
    /// Since when everybody that is known of has taken up the last step: has what is trusted now, and, once the new authority is used, a certificate of its. None
    /// while somebody has not.
    pub complete: Option<Timestamp>,
    /// How long those who follow what is handed out may take to do so.
    pub settle: Duration,
    /// When the last certificate of the former authority ends that may be held where nobody sees it.
    pub unseen_until: Option<Timestamp>,
    /// Somebody asks for the next step: it waits for no time, only for what is known.
    pub asked: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This step, now.
    Take(Step),
    /// This step, at that time, if all stays as it is.
    At(Step, Timestamp),
    /// This step, once everybody has taken up the one before.
    Waits(Step),
}

impl Facts {
    /// What comes next.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Next {
        let step = self.stage.next();
        let after = |complete: Timestamp| complete.checked_add(self.settle).unwrap_or(Timestamp::MAX);
        let at = match (self.stage, self.complete) {
            (Stage::Settled, _) => self.due,
            (_, None) => return Next::Waits(step),
            (Stage::Trusted, Some(complete)) => after(complete),
            (Stage::Used, Some(complete)) => {
                self.unseen_until.map_or(after(complete), |ends| ends.max(after(complete)))
            }
        };
        if self.asked || now >= at { Next::Take(step) } else { Next::At(step, at) }
    }
}

/// When two thirds of a life are over.
#[must_use]
pub fn two_thirds(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let life = not_after.as_second().saturating_sub(not_before.as_second());
    Timestamp::from_second(not_before.as_second() + life / 3 * 2).unwrap_or(not_after)
}

#[cfg(test)]
mod tests;
