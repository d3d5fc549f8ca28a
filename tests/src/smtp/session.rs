//! One connection's conversation (RFC 5321, with STARTTLS of RFC 3207 and AUTH of RFC 4954).

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Behaviour, Ended, Protection, Received, Shared};

/// Either end of STARTTLS.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    wire: BufReader<Wire>,
    encrypted: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
    /// What is done to the mail when it has come.
    fate: Behaviour,
}

/// Speaks with a client until either leaves.
pub(super) fn serve(shared: &Shared, stream: TcpStream) -> Ended {
    stream.set_nodelay(true)?;
    let implicit = shared.tls.clone().filter(|_| shared.protection == Protection::Implicit);
    let encrypted = implicit.is_some();
    let wire = match implicit {
        Some(config) => secure(config, stream)?,
        None => Wire::Plain(stream),
    };
    let wire = BufReader::new(wire);
    let mut session =
        Session { shared, wire, encrypted, user: None, from: None, to: vec![], fate: Behaviour::Accept };
    session.say("220 test.example ESMTP")?;
    loop {
        let line = session.line()?;
        let upper = line.to_ascii_uppercase();
        let verb = upper.split([' ', ':']).next().unwrap_or_default();
        match verb {
            "EHLO" | "HELO" => session.hello()?,
            "STARTTLS" => session = session.start_tls()?,
            "AUTH" => session.auth(&line)?,
            "MAIL" => session.mail(&line)?,
            "RCPT" => session.rcpt(&line)?,
            "DATA" => session.data()?,
            "RSET" => {
                session.from = None;
                session.to.clear();
                session.say("250 2.0.0 forgotten")?;
            }
            "NOOP" => session.say("250 2.0.0 ok")?,
            "QUIT" => return session.say("221 2.0.0 bye"),
            _ => session.say("500 5.5.2 what?")?,
        }
    }
}

fn secure(config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<Wire> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    Ok(Wire::Tls(Box::new(StreamOwned::new(connection, stream))))
}

fn left() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl Session<'_> {
    fn say(&mut self, line: &str) -> Ended {
        let wire = self.wire.get_mut();
        wire.write_all(format!("{line}\r\n").as_bytes())?;
        wire.flush()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.wire.read_line(&mut line)? == 0 {
            return Err(left());
        }
        Ok(line.trim_end().to_owned())
    }

    fn hello(&mut self) -> Ended {
        self.say("250-test.example")?;
        self.say("250-8BITMIME")?;
        self.say("250-SMTPUTF8")?;
        if self.shared.protection == Protection::StartTls && !self.encrypted {
            self.say("250-STARTTLS")?;
        } else if self.shared.login.is_some() {
            self.say("250-AUTH PLAIN LOGIN")?;
        }
        self.say("250 SIZE 10000000")
    }

    fn start_tls(mut self) -> io::Result<Self> {
        self.say("220 2.0.0 go on")?;
        let (Wire::Plain(stream), Some(config)) = (self.wire.into_inner(), self.shared.tls.clone()) else {
            return Err(left());
        };
        Ok(Self { wire: BufReader::new(secure(config, stream)?), encrypted: true, ..self })
    }

    fn auth(&mut self, line: &str) -> Ended {
        let mut words = line.split_whitespace().skip(1);
        let given = match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("PLAIN") => {
                let response = match words.next() {
                    Some(response) => response.to_owned(),
                    None => self.ask("")?,
                };
                let decoded = decode(&response);
                let mut parts = decoded.split('\0').skip(1).map(ToOwned::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            Some("LOGIN") => (decode(&self.ask("VXNlcm5hbWU6")?), decode(&self.ask("UGFzc3dvcmQ6")?)),
            _ => return self.say("504 5.5.4 no such mechanism"),
        };
        if self.shared.login.as_ref() == Some(&given) {
            self.user = Some(given.0);
            self.say("235 2.7.0 welcome")
        } else {
            self.say("535 5.7.8 authentication failed")
        }
    }

    fn ask(&mut self, challenge: &str) -> io::Result<String> {
        self.say(&format!("334 {challenge}"))?;
        self.line()
    }

    fn mail(&mut self, line: &str) -> Ended {
        if self.shared.protection == Protection::StartTls && !self.encrypted {
            return self.say("530 5.7.0 STARTTLS first");
        }
        if self.shared.login.is_some() && self.user.is_none() {
            return self.say("530 5.7.0 authentication required");
        }
        self.from = Some(address(line));
        self.to.clear();
        self.fate = Behaviour::Accept;
        self.say("250 2.1.0 ok")
    }

    fn rcpt(&mut self, line: &str) -> Ended {
        if self.from.is_none() {
            return self.say("503 5.5.1 MAIL first");
        }
        let recipient = address(line);
        match self.shared.named(&recipient) {
            Behaviour::Close | Behaviour::Hang => return Err(left()),
            Behaviour::Refuse(reply) => return self.say(&reply),
            Behaviour::Delay(time) => thread::sleep(time),
            fate @ (Behaviour::Accept | Behaviour::RefuseMail(_) | Behaviour::LoseAnswer) => self.fate = fate,
        }
        self.to.push(recipient);
        self.say("250 2.1.5 ok")
    }

    fn data(&mut self) -> Ended {
        let Some(from) = self.from.take().filter(|_| !self.to.is_empty()) else {
            return self.say("503 5.5.1 RCPT first");
        };
        self.say("354 end with a dot")?;
        let mut data = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.wire.read_until(b'\n', &mut line)? == 0 {
                return Err(left());
            }
            if line == b".\r\n" {
                break;
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        let fate = std::mem::take(&mut self.fate);
        if let Behaviour::RefuseMail(reply) = fate {
            return self.say(&reply);
        }
        let to = std::mem::take(&mut self.to);
        let received = Received { from, to, data, encrypted: self.encrypted, user: self.user.clone() };
        self.shared.change(|state| state.received.push(received));
        if fate == Behaviour::LoseAnswer { Err(left()) } else { self.say("250 2.0.0 taken") }
    }
}

/// What stands between the angle brackets.
fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

fn decode(text: &str) -> String {
    BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}
