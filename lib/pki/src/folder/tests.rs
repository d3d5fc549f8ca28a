use std::os::unix::fs::PermissionsExt;

use jiff::ToSpan;
use tempfile::TempDir;

use super::*;
use rustls::pki_types::pem::PemObject;

use crate::{
    details::signed_by,
    peer::Peer,
    request,
    rotation::{Stage, Step},
};

const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(24 * 365);

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn made() -> (TempDir, Folder) {
    let place = tempfile::tempdir().unwrap();
    let domain = "kinetic.local".parse().unwrap();
    let folder = Folder::init(&place.path().join("pki"), &domain, YEAR, now()).unwrap();
    (place, folder)
}

fn web() -> Leaf {
    let subject = Subject::Client { customer: "acme".parse().unwrap(), client: "web".parse().unwrap() };
    Leaf::new(subject, HOUR)
}

fn issue(folder: &Folder, leaf: &Leaf, at: Timestamp) -> Issued {
    folder.issue(leaf, PrivateKey::generate().unwrap().public(), at).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn trusted(folder: &Folder) -> Vec<Fingerprint> {
    folder.certificates(TRUST).unwrap().iter().map(|der| Fingerprint::of(der)).collect()
}

#[test]
fn a_new_folder_keeps_its_secret_and_is_not_overwritten() {
    let (_place, folder) = made();
    assert_eq!(mode(folder.path()), 0o700);
    assert_eq!(mode(&folder.path().join(KEY)), 0o600);
    let authority = folder.authority().unwrap();
    assert_eq!(trusted(&folder), [authority.fingerprint()]);
    let again = Folder::init(folder.path(), &"other.local".parse().unwrap(), YEAR, now());
    assert!(matches!(again, Err(FolderError::Exists(_))));
    assert_eq!(
        Folder::open(folder.path()).unwrap().authority().unwrap().fingerprint(),
        authority.fingerprint()
    );
}

#[test]
fn any_of_the_files_is_enough_to_refuse() {
    for name in [CERTIFICATE, KEY, TRUST] {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(name), "somebody's").unwrap();
        let made = Folder::init(place.path(), &"kinetic.local".parse().unwrap(), YEAR, now());
        assert!(matches!(made, Err(FolderError::Exists(_))), "{name}");
        assert_eq!(fs::read_to_string(place.path().join(name)).unwrap(), "somebody's");
    }
}

#[test]
fn an_interrupted_init_is_begun_anew() {
    let (_place, folder) = made();
    fs::write(folder.path().join(BEGUN), "").unwrap();
    fs::remove_file(folder.path().join(CERTIFICATE)).unwrap();
    assert!(matches!(Folder::open(folder.path()), Err(FolderError::Missing(_))));
    Folder::init(folder.path(), &"kinetic.local".parse().unwrap(), YEAR, now()).unwrap();
    Folder::open(folder.path()).unwrap();
}

#[test]
fn a_folder_without_an_authority_is_told() {
    let place = tempfile::tempdir().unwrap();
    let error = Folder::open(place.path()).unwrap_err().to_string();
    assert!(error.contains("kinetic pki init"), "{error}");
}

#[test]
fn a_key_of_another_authority_is_told() {
    let ((_here, one), (_there, other)) = (made(), made());
    fs::copy(other.path().join(KEY), one.path().join(KEY)).unwrap();
    let error = Folder::open(one.path()).unwrap_err().to_string();
    assert!(error.contains("ca.crt: the authority's key does not belong"), "{error}");
}

#[test]
fn what_is_handed_out_lies_together() {
    let (place, folder) = made();
    let key = PrivateKey::generate().unwrap();
    let issued = folder.issue(&web(), key.public(), now()).unwrap();
    let out = place.path().join("out");
    let files = folder.hand_out(&out, &issued, Some(&key)).unwrap();
    assert_eq!(files.certificate, out.join("acme.clients.web.crt"));
    assert_eq!(fs::read_to_string(&files.certificate).unwrap(), issued.certificate);
    assert_eq!(fs::read_to_string(files.key.as_ref().unwrap()).unwrap(), key.pem());
    assert_eq!(mode(files.key.as_ref().unwrap()), 0o600);
    assert_eq!(fs::read_to_string(&files.trust).unwrap(), folder.trust().unwrap());
}

#[test]
fn a_foreign_key_is_not_left_beside_a_certificate() {
    let (_place, folder) = made();
    let (one, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let issued = folder.issue(&web(), one.public(), now()).unwrap();
    folder.hand_out(&folder.issued(), &issued, Some(&one)).unwrap();
    let request = request::read(&request::make(&other).unwrap()).unwrap();
    let checked = folder.check_out(&folder.issued(), &web().subject, request.public_key());
    assert!(matches!(checked, Err(FolderError::OtherKey(_))));
    folder.check_out(&folder.issued(), &web().subject, one.public()).unwrap();
    folder.check_out(&folder.issued(), &Subject::Alert, other.public()).unwrap();
}

#[test]
fn file_names_are_short_and_each_identity_s_own() {
    let machine = |name: String| Subject::Machine {
        customer: "acme".parse().unwrap(),
        client: "web".parse().unwrap(),
        machine: name.parse().unwrap(),
    };
    assert_eq!(
        file_name(&machine("web-1.acme.example".into())),
        "acme.clients.web.machines.web-1.acme.example"
    );
    assert_eq!(file_name(&Subject::Redirector), "redirector");
    let label = "a".repeat(63);
    let long = |last: char| file_name(&machine(format!("{label}.{label}.{label}.{}{last}", &label[..60])));
    assert_eq!(long('b').len(), MAX_STEM);
    assert_ne!(long('b'), long('c'));
}

#[test]
fn what_has_ended_is_forgotten() {
    let (_place, folder) = made();
    let (first, second) = (issue(&folder, &web(), now()), issue(&folder, &web(), now() + 30.minutes()));
    let kept = |folder: &Folder| {
        folder.records().unwrap().into_iter().map(|record| record.peer.serial).collect::<Vec<_>>()
    };
    assert_eq!(kept(&folder), [second.serial.clone(), first.serial]);
    let third = issue(&folder, &web(), now() + 70.minutes());
    assert_eq!(kept(&folder), [third.serial, second.serial]);
}

#[test]
fn an_authority_is_trusted_first_used_later_and_removed_last() {
    let (_place, folder) = made();
    let old = folder.authority().unwrap().fingerprint();
    let before = issue(&folder, &web(), now());
    folder.hand_out(&folder.issued(), &before, None).unwrap();

    let first = folder.rotate(YEAR, false, now()).unwrap();
    assert_eq!((first.step, first.issuing), (Step::Trusted, old));
    let new = first.trusted[1];
    assert_eq!(first.trusted, [old, new]);
    assert_eq!(fs::read_to_string(folder.issued().join(TRUST)).unwrap(), folder.trust().unwrap());

    let second = folder.rotate(YEAR, false, now()).unwrap();
    assert_eq!((second.step, second.issuing, second.trusted), (Step::Used, new, vec![old, new]));
    assert!(!folder.path().join(NEXT_KEY).exists() && !folder.path().join(NEXT_CERTIFICATE).exists());
    assert_eq!(mode(&folder.path().join(KEY)), 0o600);

    let Err(FolderError::StillAlive(alive)) = folder.rotate(YEAR, false, now()) else {
        panic!("not refused")
    };
    assert_eq!(alive.iter().map(|record| &record.peer.serial).collect::<Vec<_>>(), [&before.serial]);
    assert_eq!(trusted(&folder), [old, new]);

    issue(&folder, &web(), now());
    let third = folder.rotate(YEAR, false, now()).unwrap();
    assert_eq!((third.step, third.issuing, third.trusted), (Step::Removed, new, vec![new]));
    assert_eq!(folder.stage().unwrap(), Stage::Settled);
}

#[test]
fn the_last_step_waits_for_time_or_force() {
    let (_place, folder) = made();
    issue(&folder, &web(), now());
    folder.rotate(YEAR, false, now()).unwrap();
    folder.rotate(YEAR, false, now()).unwrap();
    let error = folder.rotate(YEAR, false, now() + 59.minutes()).unwrap_err().to_string();
    assert!(
        error.contains("spiffe://kinetic.local/customers/acme/clients/web") && error.contains("--force"),
        "{error}"
    );
    assert_eq!(folder.clone().rotate(YEAR, false, now() + 61.minutes()).unwrap().step, Step::Removed);

    issue(&folder, &web(), now());
    folder.rotate(YEAR, false, now()).unwrap();
    folder.rotate(YEAR, false, now()).unwrap();
    assert_eq!(folder.rotate(YEAR, true, now()).unwrap().step, Step::Removed);
}

/// The folder as it was before a step, with some of the step's changes made: what a crash leaves. Each must issue, be trusted, and go on.
#[test]
fn a_crash_in_any_step_leaves_a_folder_that_works() {
    let read = |folder: &Folder| -> Vec<(&str, Option<String>)> {
        let names = [NEXT_KEY, NEXT_CERTIFICATE, TRUST, KEY, CERTIFICATE];
        names.map(|name| (name, fs::read_to_string(folder.path().join(name)).ok())).to_vec()
    };
    let put = |folder: &Folder, name: &str, text: Option<&String>| match text {
        Some(text) => fs::write(folder.path().join(name), text).unwrap(),
        None => drop(fs::remove_file(folder.path().join(name))),
    };
    let (_place, folder) = made();
    for step in [Step::Trusted, Step::Used, Step::Removed] {
        let before = read(&folder);
        assert_eq!(folder.rotate(YEAR, true, now()).unwrap().step, step);
        let after = read(&folder);
        // The order of the changes; a rename is one change of two names.
        let changes: Vec<Vec<&str>> = match step {
            Step::Trusted => vec![vec![NEXT_KEY], vec![NEXT_CERTIFICATE], vec![TRUST]],
            Step::Used => vec![vec![NEXT_KEY, KEY], vec![NEXT_CERTIFICATE, CERTIFICATE]],
            Step::Removed => vec![vec![TRUST]],
        };
        for made in 0..changes.len() {
            for (name, text) in &before {
                put(&folder, name, text.as_ref());
            }
            for name in changes[..made].concat() {
                let (_, text) = after.iter().find(|(other, _)| *other == name).unwrap();
                put(&folder, name, text.as_ref());
            }
            let issued = issue(&Folder::open(folder.path()).unwrap(), &web(), now());
            let leaf = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
            let trust = folder.certificates(TRUST).unwrap();
            assert!(trust.iter().any(|authority| signed_by(&leaf, authority)), "{step:?} {made}");
            assert!(Peer::of(&leaf).is_ok());
            assert_eq!(folder.rotate(YEAR, true, now()).unwrap().step, step, "{step:?} {made}");
        }
    }
    assert_eq!(folder.stage().unwrap(), Stage::Settled);
}

#[test]
fn several_may_issue_while_the_authority_is_replaced() {
    let (_place, folder) = made();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let issued = issue(&Folder::open(folder.path()).unwrap(), &web(), now());
                    let leaf = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
                    let trust = folder.certificates(TRUST).unwrap();
                    assert!(trust.iter().any(|authority| signed_by(&leaf, authority)));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..2 {
                folder.rotate(YEAR, false, now()).unwrap();
            }
        });
    });
    assert_eq!(folder.records().unwrap().len(), 80);
}
