//! A real SMTP server for tests, on a free loopback port: it keeps the mails, and does to each recipient what it is told.

mod session;
mod tls;

use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Generous: a loaded machine is slow, a wrong program stays wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the server does when a recipient is named, or to everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes the mail.
    #[default]
    Accept,
    /// Answers RCPT with this line, e.g. `550 5.1.1 no such user` or `451 4.7.1 greylisted`.
    Refuse(String),
    /// Takes the recipient, and answers the mail itself with this line.
    RefuseMail(String),
    /// Does not answer RCPT until it is told otherwise.
    Hang,
    /// Answers RCPT after this time.
    Delay(Duration),
    /// Closes the connection instead of answering RCPT.
    Close,
    /// Keeps the mail, and closes the connection instead of saying so.
    LoseAnswer,
}

/// How the server protects connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Plain,
    /// It offers STARTTLS, and takes no mail without.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

/// A mail that the server took, or would have taken.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The mail, as RFC 5322 has it.
    pub data: Vec<u8>,
    /// Whether the connection was encrypted.
    pub encrypted: bool,
    /// Who had logged in.
    pub user: Option<String>,
}

/// Without the mail's text, which would fill the screen.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {:?}, {} bytes", self.from, self.to, self.data.len())
    }
}

/// A running server; stops when dropped.
#[derive(Debug)]
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Option<tls::Identity>,
}

#[derive(Debug)]
struct Shared {
    protection: Protection,
    tls: Option<Arc<rustls::ServerConfig>>,
    login: Option<(String, String)>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the times that the server was up; a listener of an earlier one ends.
    life: u64,
    up: bool,
    everybody: Behaviour,
    recipients: HashMap<String, Behaviour>,
    received: Vec<Received>,
    attempts: HashMap<String, usize>,
    connections: Vec<TcpStream>,
}

impl SmtpServer {
    /// Starts a server that speaks plainly and takes everything.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Protection::Plain, None)
    }

    /// Starts a server with this protection, which takes mail only from this user with this password, if one is given.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn start_with(protection: Protection, login: Option<(&str, &str)>) -> Self {
        let tls = (protection != Protection::Plain).then(tls::Identity::new);
        let shared = Arc::new(Shared {
            protection,
            tls: tls.as_ref().map(tls::Identity::config),
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("a listener has an address");
        listen(&shared, listener);
        Self { address, shared, tls }
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The PEM file of the certificate's authority, of a server with TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(tls::Identity::ca_file)
    }

    /// Does this to every recipient that nothing else was said about.
    pub fn set(&self, behaviour: Behaviour) {
        self.shared.change(|state| state.everybody = behaviour);
    }

    /// Does this to one recipient.
    pub fn set_for(&self, recipient: &str, behaviour: Behaviour) {
        self.shared.change(|state| {
            state.recipients.insert(recipient.to_owned(), behaviour);
        });
    }

    /// Cuts every connection and takes no new ones: they are refused.
    ///
    /// # Panics
    /// If the port does not come free.
    pub fn down(&self) {
        self.shared.change(|state| {
            state.up = false;
            for connection in state.connections.drain(..) {
                // The other end may have closed it already.
                let _ = connection.shutdown(Shutdown::Both);
            }
        });
        // Wakes the listener, which ends and frees the port.
        let _ = TcpStream::connect(self.address);
        let freed = until(|| TcpListener::bind(self.address).is_ok());
        assert!(freed, "{} is held by somebody", self.address);
    }

    /// Takes connections again, on the same port.
    ///
    /// # Panics
    /// If the port was taken by somebody else.
    pub fn up(&self) {
        listen(&self.shared, TcpListener::bind(self.address).expect("the port that was ours"));
    }

    /// The mails so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// How often a recipient was named in RCPT.
    #[must_use]
    pub fn attempts(&self, recipient: &str) -> usize {
        self.shared.lock().attempts.get(recipient).copied().unwrap_or(0)
    }

    /// Waits for the first `count` mails.
    ///
    /// # Panics
    /// If they do not come within a minute.
    #[must_use]
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait(&format!("{count} mails"), |state| {
            (state.received.len() >= count).then(|| state.received.clone())
        })
    }

    /// Waits until a recipient was named in RCPT so often.
    ///
    /// # Panics
    /// If it does not happen within a minute.
    #[track_caller]
    pub fn wait_for_attempts(&self, recipient: &str, count: usize) {
        self.wait(&format!("{count} attempts at {recipient}"), |state| {
            (state.attempts.get(recipient).copied().unwrap_or(0) >= count).then_some(())
        });
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: not within {} s; there are {state:?}", PATIENCE.as_secs());
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        if self.shared.lock().up {
            self.down();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// What to do to a recipient who was just named; waits while that is nothing.
    fn named(&self, recipient: &str) -> Behaviour {
        self.change(|state| *state.attempts.entry(recipient.to_owned()).or_default() += 1);
        let mut state = self.lock();
        let life = state.life;
        loop {
            let behaviour = state.recipients.get(recipient).unwrap_or(&state.everybody).clone();
            if behaviour != Behaviour::Hang {
                return behaviour;
            }
            if !state.up || state.life != life {
                return Behaviour::Close;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Takes connections until the server goes down.
fn listen(shared: &Arc<Shared>, listener: TcpListener) {
    shared.change(|state| {
        state.life += 1;
        state.up = true;
    });
    let life = shared.lock().life;
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if !admit(&shared, life, &stream) {
                break;
            }
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let Ok(copy) = stream.try_clone() else { return };
                // How a client leaves is its own affair.
                drop(session::serve(&shared, stream));
                drop(copy.shutdown(Shutdown::Both));
            });
        }
    });
}

/// Notes a connection, to be cut when the server goes down; `false`: it is down.
fn admit(shared: &Shared, life: u64, stream: &TcpStream) -> bool {
    let Ok(copy) = stream.try_clone() else { return true };
    let mut state = shared.lock();
    let admitted = state.up && state.life == life;
    if admitted {
        state.connections.push(copy);
    }
    admitted
}

fn until(mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// What a connection that breaks off comes to.
type Ended = io::Result<()>;
