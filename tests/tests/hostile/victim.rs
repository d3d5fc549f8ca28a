//! A `kinetic run` under attack.

use std::{fs, net::UdpSocket, sync::Mutex, thread::sleep, time::Duration};

use kinetic_tests::{
    http::{get, metric},
    process::{Kinetic, eventually, free_port, incidents, run},
};
use tempfile::TempDir;

pub const VHOST: &str = "test.local.shop";

pub struct Victim {
    pub statsd: u16,
    pub collectd: u16,
    admin: u16,
    process: Mutex<Kinetic>,
    folder: TempDir,
}

impl Victim {
    /// Ready, with these flags beside the usual ones.
    pub fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("resources")).unwrap();
        fs::write(folder.path().join("resources/shop.yaml"), include_str!("resources.yaml")).unwrap();
        let (statsd, collectd, admin) = (free_port(), free_port(), free_port());
        let at = [statsd, collectd, admin].map(|port| format!("127.0.0.1:{port}"));
        let usual = ["--statsd", &at[0], "--collectd", &at[1], "--admin", &at[2]];
        let args =
            run(&folder.path().join("resources"), &folder.path().join("data"), &[&usual, flags].concat());
        let process = Mutex::new(Kinetic::start(args));
        let victim = Self { statsd, collectd, admin, process, folder };
        eventually("it to be ready", || get(admin, "/readyz").is_some_and(|(status, _)| status == 200));
        victim
    }

    /// An edit: one more file.
    pub fn add_file(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("resources").join(name), text).unwrap();
    }

    /// Waits until it has printed this.
    #[track_caller]
    pub fn says(&self, text: &str) {
        self.process.lock().unwrap().wait_for(text);
    }

    /// What a counter shows, over all labels.
    pub fn metric(&self, name: &str) -> f64 {
        metric(self.admin, name).unwrap_or(0.0)
    }

    /// What was dropped for this reason.
    pub fn dropped(&self, reason: &str) -> f64 {
        let (_, text) = get(self.admin, "/metrics").unwrap();
        let label = format!("reason=\"{reason}\"");
        let of = text
            .lines()
            .filter(|line| line.starts_with("kinetic_analyzer_dropped_total{") && line.contains(&label));
        of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// A load above its line still makes an incident.
    #[track_caller]
    pub fn serves(&self) {
        let before = self.incidents();
        self.until(500, || self.incidents() > before);
    }

    /// A load that is in order again ends the last incident; one that is not makes the next.
    #[track_caller]
    pub fn recovers_and_serves(&self) {
        let data = self.folder.path().join("data");
        self.until(5, || incidents(&data).iter().all(|incident| incident["state"] == "resolved"));
        self.serves();
    }

    /// Never took more memory than this.
    #[track_caller]
    pub fn stayed_below(&self, megabytes: u64) {
        let pid = self.process.lock().unwrap().pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kilobytes / 1024 < megabytes, "took {} MB", kilobytes / 1024);
    }

    fn incidents(&self) -> usize {
        let data = self.folder.path().join("data");
        if data.join("kinetic.sqlite").exists() { incidents(&data).len() } else { 0 }
    }

    #[track_caller]
    fn until(&self, load: i64, mut holds: impl FnMut() -> bool) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        eventually(&format!("a load of {load} to have its effect"), || {
            socket
                .send_to(format!("host.load:{load}|g|#host:web-1").as_bytes(), ("127.0.0.1", self.statsd))
                .unwrap();
            sleep(Duration::from_millis(100));
            holds()
        });
    }
}
