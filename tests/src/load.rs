//! A gauge that is sent over UDP, several times a second, until dropped.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

/// Sends `host.load:VALUE|g|#host:web-1`.
#[derive(Debug)]
pub struct Load {
    value: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Load {
    /// Sends a value to a port of this machine from now on.
    ///
    /// # Panics
    /// If there is no socket to send from.
    #[must_use]
    pub fn start(port: u16, value: i64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let (value, stop) = (Arc::new(AtomicI64::new(value)), Arc::new(AtomicBool::new(false)));
        let sender = thread::spawn({
            let (value, stop) = (Arc::clone(&value), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let line = format!("host.load:{}|g|#host:web-1", value.load(Ordering::Relaxed));
                    // Nobody listens yet, or any more: the packet is lost, as UDP is.
                    let _ = socket.send_to(line.as_bytes(), ("127.0.0.1", port));
                    sleep(Duration::from_millis(100));
                }
            }
        });
        Self { value, stop, sender: Some(sender) }
    }

    /// Sends another value from now on.
    pub fn set(&self, value: i64) {
        self.value.store(value, Ordering::Relaxed);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            // A sender that panicked has already said so.
            let _ = sender.join();
        }
    }
}
