use proptest::prelude::*;

use super::*;

const POLICIES: [EnrollmentPolicy; 3] =
    [EnrollmentPolicy::Manual, EnrollmentPolicy::AllowList, EnrollmentPolicy::Deny];
const LIVES: [Live; 3] = [Live::None, Live::SameKey, Live::OtherKey];
const LISTINGS: [Listing; 3] = [Listing::Denied, Listing::Allowed, Listing::Unknown];
const BOTH: [bool; 2] = [false, true];

fn all() -> Vec<Facts> {
    let mut all = Vec::new();
    for policy in POLICIES {
        for live in LIVES {
            for class in BOTH {
                for listing in LISTINGS {
                    for approved in BOTH {
                        all.push(Facts { class, policy, listing, live, approved });
                    }
                }
            }
        }
    }
    all
}

/// A request that nothing speaks against, by a machine that nobody knows yet.
const PLAIN: Facts = Facts {
    class: true,
    policy: EnrollmentPolicy::Manual,
    listing: Listing::Unknown,
    live: Live::None,
    approved: false,
};

#[test]
fn policy_list_live_identity_and_key_decide() {
    use Decision::{Again, Deny, Issue, Wait as Waits};
    use EnrollmentPolicy::{AllowList, Manual};
    let table = [
        // policy, listed, live: without a person, with one
        (Manual, false, Live::None, Waits(Wait::Manual), Issue(By::Person)),
        (Manual, true, Live::None, Waits(Wait::Manual), Issue(By::Person)),
        (Manual, false, Live::SameKey, Again, Again),
        (Manual, true, Live::SameKey, Again, Again),
        (Manual, false, Live::OtherKey, Waits(Wait::SecondKey), Issue(By::Person)),
        (Manual, true, Live::OtherKey, Waits(Wait::SecondKey), Issue(By::Person)),
        (AllowList, false, Live::None, Waits(Wait::NotListed), Issue(By::Person)),
        (AllowList, true, Live::None, Issue(By::AllowList), Issue(By::Person)),
        (AllowList, false, Live::SameKey, Again, Again),
        (AllowList, true, Live::SameKey, Again, Again),
        (AllowList, false, Live::OtherKey, Waits(Wait::SecondKey), Issue(By::Person)),
        (AllowList, true, Live::OtherKey, Waits(Wait::SecondKey), Issue(By::Person)),
        (EnrollmentPolicy::Deny, false, Live::None, Deny(Denial::Policy), Deny(Denial::Policy)),
        (EnrollmentPolicy::Deny, true, Live::None, Deny(Denial::Policy), Deny(Denial::Policy)),
        (EnrollmentPolicy::Deny, false, Live::SameKey, Deny(Denial::Policy), Deny(Denial::Policy)),
        (EnrollmentPolicy::Deny, true, Live::SameKey, Deny(Denial::Policy), Deny(Denial::Policy)),
        (EnrollmentPolicy::Deny, false, Live::OtherKey, Deny(Denial::Policy), Deny(Denial::Policy)),
        (EnrollmentPolicy::Deny, true, Live::OtherKey, Deny(Denial::Policy), Deny(Denial::Policy)),
    ];
    for (policy, listed, live, alone, with_person) in table {
        for (approved, expected) in [(false, alone), (true, with_person)] {
            let listing = if listed { Listing::Allowed } else { Listing::Unknown };
            let facts = Facts { policy, listing, live, approved, ..PLAIN };
            assert_eq!(decide(&facts), expected, "{facts:?}");
        }
    }
}

#[test]
fn what_holds_for_every_combination() {
    for facts in all() {
        let decision = decide(&facts);
        if facts.listing == Listing::Denied {
            assert_eq!(decision, Decision::Deny(Denial::DenyList), "{facts:?}");
        } else if facts.policy == EnrollmentPolicy::Deny {
            assert_eq!(decision, Decision::Deny(Denial::Policy), "{facts:?}");
        } else if !facts.class {
            assert_eq!(decision, Decision::Wait(Wait::NoClass), "{facts:?}");
        }
        if let Decision::Issue(by) = decision {
            assert!(facts.class && facts.listing != Listing::Denied, "{facts:?}");
            if !facts.approved {
                let alone = facts.listing == Listing::Allowed && facts.live == Live::None;
                assert!(
                    by == By::AllowList && alone && facts.policy == EnrollmentPolicy::AllowList,
                    "{facts:?}"
                );
            }
        }
    }
}

fn customer(enrollment: &str) -> Customer {
    let text = format!(
        "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {{name: acme}}\nspec:\n  region: us-west\n  provider: aws\n  \
         clients: [{{name: web, profile: web}}, {{name: db, profile: db, certificate: {{lifetime: 48h, renewBefore: 16h}}}}]\n  \
         revoked: [{{serial: \"0A:1B\"}}]\n{enrollment}"
    );
    serde_saphyr::from_str(&text).unwrap()
}

const LISTS: &str = "  enrollment:\n    policy: AllowList\n    allow: [{client: web, names: [\"web-*.acme.example\", \"re:w[0-9]{1,2}\\\\.acme\\\\.example\"]}]\n    deny: [{client: web, names: [\"web-13.acme.example\"]}]\n";

#[test]
fn a_customer_s_lists_decide() {
    let rules = Rules::of(&customer(LISTS));
    let decide = |client: &str, machine: &str| rules.decide(client, machine, Live::None, false);
    assert_eq!(decide("web", "web-1.acme.example"), Decision::Issue(By::AllowList));
    assert_eq!(decide("web", "w7.acme.example"), Decision::Issue(By::AllowList));
    assert_eq!(decide("web", "web-13.acme.example"), Decision::Deny(Denial::DenyList));
    assert_eq!(decide("db", "web-1.acme.example"), Decision::Wait(Wait::NotListed));
    assert_eq!(decide("mail", "web-1.acme.example"), Decision::Wait(Wait::NoClass));
    for machine in
        ["xw7.acme.example", "w7.acme.example.evil.com", "w777.acme.example", "web-1.acme.example.evil.com"]
    {
        assert_eq!(decide("web", machine), Decision::Wait(Wait::NotListed), "{machine}");
    }
    assert_eq!(rules.lifetime("web"), Some(LIFETIME));
    assert_eq!(rules.lifetime("db"), Some(Duration::from_hours(48)));
    assert_eq!(rules.lifetime("mail"), None);
}

#[test]
fn a_customer_that_says_nothing_leaves_it_to_people() {
    let rules = Rules::of(&customer(""));
    assert_eq!(rules.decide("web", "a", Live::None, false), Decision::Wait(Wait::Manual));
}

#[test]
fn a_renewal_needs_neither_person_nor_list() {
    let serial = |text: &str| text.parse::<Serial>().unwrap();
    let manual = Rules::of(&customer(""));
    assert_eq!(manual.renew("web", "a", &serial("ff")), Decision::Issue(By::Renewal));
    assert_eq!(manual.renew("web", "a", &serial("a1b")), Decision::Deny(Denial::Revoked));
    assert_eq!(manual.renew("gone", "a", &serial("ff")), Decision::Deny(Denial::NoClass));
    let lists = Rules::of(&customer(LISTS));
    assert_eq!(lists.renew("web", "web-13.acme.example", &serial("ff")), Decision::Deny(Denial::DenyList));
    let closed = Rules::of(&customer("  enrollment: {policy: Deny}\n"));
    assert_eq!(closed.renew("web", "a", &serial("ff")), Decision::Issue(By::Renewal));
}

proptest! {
    /// Whatever stands around a name that is listed, it is another name.
    #[test]
    fn lists_are_anchored(before in "[a-z0-9.-]{0,5}", after in "[a-z0-9.-]{0,5}", number in 0..100_u32) {
        let rules = Rules::of(&customer(LISTS));
        let machine = format!("{before}w{number}.acme.example{after}");
        let issued = rules.decide("web", &machine, Live::None, false) == Decision::Issue(By::AllowList);
        let glob = machine.starts_with("web-") && machine.ends_with(".acme.example") && machine.len() > 16;
        prop_assert_eq!(issued, (before.is_empty() && after.is_empty()) || glob, "{}", machine);
    }
}
