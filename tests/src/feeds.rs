//! Hosts that report their load over UDP, several times a second, until dropped; one of them is unlike the others.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

/// `web-1` to `web-3` with loads about 10, `web-4` with 50.
#[derive(Debug)]
pub struct Feeds {
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Feeds {
    /// Sends to a port of this machine from now on.
    ///
    /// # Panics
    /// If there is no socket to send from.
    #[must_use]
    pub fn start(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let stop = Arc::new(AtomicBool::new(false));
        let sender = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let lines: Vec<_> = [9.5, 10.0, 10.5, 50.0]
                    .iter()
                    .zip(1..)
                    .map(|(load, host)| format!("host.load:{load}|g|#host:web-{host}"))
                    .collect();
                while !stop.load(Ordering::Relaxed) {
                    // Nobody listens yet, or any more: the packet is lost, as UDP is.
                    let _ = socket.send_to(lines.join("\n").as_bytes(), ("127.0.0.1", port));
                    sleep(Duration::from_millis(100));
                }
            }
        });
        Self { stop, sender: Some(sender) }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            // A sender that panicked has already said so.
            let _ = sender.join();
        }
    }
}
