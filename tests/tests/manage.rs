//! `kinetic get`, `apply`, `delete` and `status` on a folder of files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use kinetic_tests::process::{Ended, free_port, kinetic, kinetic_with_input};
use serde_json::Value;
use tempfile::TempDir;

const SHOP: &str = "# Our shop.
apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: shop}
spec: {region: test, provider: local, clients: [{name: web, profile: web}]}
---
# What is watched.
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata: {name: web}
spec:
  customer: shop
  sources: [{name: hosts, type: statsd, profiles: [web]}]
  analytics:
    - {name: loaded, source: hosts, match: {metric: host.load}, statistic: last, threshold: {above: 100}}
";

const ALERT: &str = "apiVersion: kinetic.dev/v1alpha1
kind: Alert
metadata: {name: everything}
spec: {topology: web, receivers: [{name: oncall, email: {to: [oncall@shop.example]}}]}
";

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.folder()).unwrap();
        fs::write(home.folder().join("shop.yaml"), SHOP).unwrap();
        home
    }

    fn folder(&self) -> std::path::PathBuf {
        self.0.path().join("resources")
    }

    fn run(&self, arguments: &[&str], input: Option<&str>) -> Ended {
        let folder = self.folder().display().to_string();
        let arguments: Vec<_> = arguments.iter().chain(&["--folder", &folder]).copied().collect();
        match input {
            Some(input) => {
                let file = self.0.path().join("input");
                fs::write(&file, input).unwrap();
                kinetic_with_input(arguments, fs::File::open(file).unwrap())
            }
            None => kinetic(arguments),
        }
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder().join(file)).unwrap()
    }
}

#[test]
fn resources_of_a_folder_are_shown() {
    let home = Home::new();
    let all = home.run(&["get", "all"], None).expect_success().stdout;
    assert!(all.starts_with("NAMESPACE   NAME            VHOST"), "{all}");
    assert!(all.contains("default     topology/web"), "{all}");
    let one = home.run(&["get", "ktopo", "web", "-o", "json"], None).expect_success().stdout;
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!((&one["kind"], &one["spec"]["customer"]), (&"Topology".into(), &"shop".into()));
    let yaml = home.run(&["get", "customers", "-o", "yaml"], None).expect_success().stdout;
    assert!(yaml.contains("kind: List"), "{yaml}");
    let none = home.run(&["get", "alert", "x"], None);
    assert!(!none.status.success() && none.stderr.contains("there is no Alert x in"), "{}", none.stderr);
    assert!(home.run(&["get", "alerts"], None).expect_success().stderr.contains("there are none"));
}

#[test]
fn applying_to_a_folder_touches_one_document() {
    let home = Home::new();
    let said = home.run(&["apply", "-f", "-"], Some(ALERT)).expect_success().stdout;
    assert_eq!(said, "Alert everything created\n");
    assert_eq!(home.files(), ["alert-everything.yaml", "shop.yaml"]);
    assert_eq!(home.text("alert-everything.yaml"), ALERT);

    let edited = SHOP.split_once("---\n").unwrap().1.replace("above: 100", "above: 7");
    let dry = home.run(&["apply", "-f", "-", "--dry-run"], Some(&edited)).expect_success().stdout;
    assert_eq!(
        (dry.as_str(), home.text("shop.yaml").as_str()),
        ("Topology web configured (dry run)\n", SHOP)
    );
    home.run(&["apply", "-f", "-"], Some(&edited)).expect_success();
    assert_eq!(
        home.text("shop.yaml"),
        SHOP.replace("above: 100", "above: 7"),
        "the Customer and its comment stay"
    );
    let again = home.run(&["apply", "-f", "-"], Some(&edited)).expect_success().stdout;
    assert_eq!(again, "Topology web unchanged\n");

    // As shown, so applied.
    let shown = home.run(&["get", "all", "-o", "yaml"], None).expect_success().stdout;
    home.run(&["apply", "-f", "-"], Some(&shown)).expect_success();
    kinetic(["validate".as_ref(), home.folder().as_os_str()]).expect_success();
}

#[test]
fn what_would_break_a_folder_is_refused_whole() {
    let home = Home::new();
    let before = (home.files(), home.text("shop.yaml"));
    let stray = ALERT.replace("topology: web", "topology: wed");
    let cases = [
        (ALERT.replace("receivers", "recievers"), "-:4:", "there is no field `recievers`"),
        (
            format!("{ALERT}---\n{}", stray.replace("everything", "other")),
            "alert-other.yaml:4:",
            "did you mean web?",
        ),
        (SHOP.replace("region: test", "region: moon"), "shop.yaml:5:", "region is immutable"),
        ("kind: [".to_owned(), "-:", ""),
    ];
    for (text, place, says) in cases {
        let refused = home.run(&["apply", "-f", "-"], Some(&text));
        assert!(!refused.status.success(), "{text}");
        assert!(refused.stderr.contains(place) && refused.stderr.contains(says), "{}", refused.stderr);
        assert_eq!((home.files(), home.text("shop.yaml")), before);
    }
    let in_use = home.run(&["delete", "customer", "shop"], None);
    assert!(
        !in_use.status.success() && in_use.stderr.contains("there is no Customer shop"),
        "{}",
        in_use.stderr
    );
    assert_eq!((home.files(), home.text("shop.yaml")), before);
}

#[test]
fn deleting_from_a_folder_leaves_the_rest_as_it_was() {
    let home = Home::new();
    let file = home.0.path().join("alert.yaml");
    fs::write(&file, ALERT).unwrap();
    let path = |file: &Path| file.display().to_string();
    home.run(&["apply", "-f", &path(&file)], None).expect_success();
    let deleted = home.run(&["delete", "-f", &path(&file)], None).expect_success().stdout;
    assert_eq!(deleted, "Alert everything deleted\n");
    assert_eq!(home.files(), ["shop.yaml"]);
    let missing = home.run(&["delete", "alert", "everything"], None);
    assert!(
        !missing.status.success() && missing.stderr.contains("there is no Alert everything"),
        "{}",
        missing.stderr
    );
    home.run(&["delete", "topology", "web"], None).expect_success();
    assert_eq!(home.text("shop.yaml"), SHOP.split_once("---\n").unwrap().0);
    home.run(&["delete", "customer", "shop"], None).expect_success();
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn status_says_that_nothing_runs() {
    let home = Home::new();
    let data = home.0.path().join("data").display().to_string();
    let port = free_port();
    let admin = format!("127.0.0.1:{port}");
    let arguments = ["status", "--data", &data, "--admin", &admin];
    let text = home.run(&arguments, None);
    assert_eq!(text.status.code(), Some(1));
    for says in [
        "default/shop  test.local.shop",
        "nobody answers at 127.0.0.1",
        "nobody is told",
        "broken at: broker",
    ] {
        assert!(text.stdout.contains(says), "{}", text.stdout);
    }
    let json = home.run(&[&arguments[..], &["--json"]].concat(), None);
    let chains: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.status.code(), &chains[0]["brokenAt"]), (Some(1), &"broker".into()));
    assert_eq!(chains[0]["links"].as_array().unwrap().len(), 8);
    let unknown = home.run(&["status", "nobody", "--admin", &admin], None);
    assert!(unknown.stderr.contains("there is no Customer nobody"), "{}", unknown.stderr);
}

#[test]
fn help_teaches_and_errors_name_what_is_missing() {
    for (command, teaches) in [
        ("get", "kinetic get customers -A"),
        ("apply", "--force-conflicts"),
        ("delete", "spec.deletionPolicy"),
        ("status", "Exit code 1 if a link is broken"),
    ] {
        let help = kinetic([command, "--help"]).expect_success().stdout;
        // However wide the terminal is.
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(teaches) && help.contains("--folder") && help.contains("--context"), "{help}");
    }
    for (arguments, says) in [
        (&["get", "pods"][..], "kcust"),
        (&["delete", "customer"], "NAME"),
        (&["apply"], "--filename"),
        (&["get", "customers", "--kubeconfig", "/nowhere"], "--kubeconfig /nowhere"),
        (&["get", "customers", "--folder", "x", "--context", "y"], "cannot be used with"),
    ] {
        let refused = kinetic(arguments);
        assert!(
            !refused.status.success() && refused.stderr.contains(says),
            "{arguments:?}: {}",
            refused.stderr
        );
    }
}
