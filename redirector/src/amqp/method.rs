//! The methods of a connection (specification 1.4, class 10), as far as the front door takes part in them.

use super::{
    frame,
    read::{Malformed, Reader, put_long_string, put_short_text},
    reply::Code,
    table::Table,
};

const CONNECTION: u16 = 10;

/// A method of class `connection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// 10: the server presents itself.
    Start(Start<'a>),
    /// 11: so does the client, with its credentials.
    StartOk(StartOk<'a>),
    /// 20: a challenge, which neither PLAIN nor EXTERNAL has.
    Secure,
    /// 30: what the server offers.
    Tune(Tune),
    /// 31: what the client takes.
    TuneOk(Tune),
    /// 40: the client names its vhost.
    Open(Open<'a>),
    /// 41: it may.
    OpenOk,
    /// 50: either side ends the connection.
    Close(Close<'a>),
    /// 51: the other side agrees.
    CloseOk,
    /// 60 (RabbitMQ): publishers should wait, and why.
    Blocked(&'a [u8]),
    /// 61 (RabbitMQ): they need not any more.
    Unblocked,
    /// 70 (RabbitMQ): new credentials for an open connection.
    UpdateSecret,
}

/// The server presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// 0 and 9 for AMQP 0-9-1.
    pub version: (u8, u8),
    /// Product, version, capabilities.
    pub server_properties: Table<'a>,
    /// Names of SASL mechanisms, by blanks.
    pub mechanisms: &'a [u8],
    /// Names of locales, by blanks.
    pub locales: &'a [u8],
}

/// The client presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartOk<'a> {
    /// Product, version, capabilities, and whatever it likes to tell.
    pub client_properties: Table<'a>,
    /// A SASL mechanism.
    pub mechanism: &'a str,
    /// The mechanism's data.
    pub response: &'a [u8],
    /// A locale.
    pub locale: &'a str,
}

/// Limits of a connection. 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tune {
    /// The highest channel number.
    pub channel_max: u16,
    /// The largest frame in bytes, head and end included.
    pub frame_max: u32,
    /// Seconds between heartbeats, at most.
    pub heartbeat: u16,
}

impl Tune {
    /// What satisfies both sides: the smaller number, where 0 is no limit.
    #[must_use]
    pub fn smaller(self, other: Self) -> Self {
        fn smaller<T: Ord + Default>(one: T, other: T) -> T {
            if one == T::default() || (other != T::default() && other < one) { other } else { one }
        }
        Self {
            channel_max: smaller(self.channel_max, other.channel_max),
            frame_max: smaller(self.frame_max, other.frame_max),
            heartbeat: smaller(self.heartbeat, other.heartbeat),
        }
    }
}

/// The client names its vhost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// The vhost's name.
    pub vhost: &'a str,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// The reply code.
    pub code: u16,
    /// For people.
    pub text: &'a [u8],
    /// Class and method that caused it; 0 and 0 where none did.
    pub cause: (u16, u16),
}

impl<'a> Method<'a> {
    /// Reads a method frame's payload.
    pub fn read(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Reader(payload);
        let (class, method) = (rest.short()?, rest.short()?);
        if class != CONNECTION {
            return Err(Malformed::Method(class, method));
        }
        let read = match method {
            10 => Self::Start(Start {
                version: (rest.octet()?, rest.octet()?),
                server_properties: Table::read(rest.long_string()?)?,
                mechanisms: rest.long_string()?,
                locales: rest.long_string()?,
            }),
            11 => Self::StartOk(StartOk {
                client_properties: Table::read(rest.long_string()?)?,
                mechanism: rest.short_text()?,
                response: rest.long_string()?,
                locale: rest.short_text()?,
            }),
            20 => {
                rest.long_string()?;
                Self::Secure
            }
            30 | 31 => {
                let tune =
                    Tune { channel_max: rest.short()?, frame_max: rest.long()?, heartbeat: rest.short()? };
                if method == 30 { Self::Tune(tune) } else { Self::TuneOk(tune) }
            }
            40 => {
                let vhost = rest.short_text()?;
                let (_capabilities, _insist) = (rest.short_string()?, rest.octet()?);
                Self::Open(Open { vhost })
            }
            41 => {
                let _known_hosts = rest.short_string()?;
                Self::OpenOk
            }
            50 => {
                let (code, text) = (rest.short()?, rest.short_string()?);
                Self::Close(Close { code, text, cause: (rest.short()?, rest.short()?) })
            }
            51 => Self::CloseOk,
            60 => Self::Blocked(rest.short_string()?),
            61 => Self::Unblocked,
            70 => {
                let (_secret, _reason) = (rest.long_string()?, rest.short_string()?);
                Self::UpdateSecret
            }
            _ => return Err(Malformed::Method(class, method)),
        };
        rest.end()?;
        Ok(read)
    }

    /// As a whole frame on channel 0.
    #[must_use]
    pub fn frame(self) -> Vec<u8> {
        let mut payload = CONNECTION.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.number().to_be_bytes());
        let to = &mut payload;
        match self {
            Self::Start(Start { version, server_properties, mechanisms, locales }) => {
                to.extend_from_slice(&[version.0, version.1]);
                put_long_string(to, server_properties.bytes());
                put_long_string(to, mechanisms);
                put_long_string(to, locales);
            }
            Self::StartOk(StartOk { client_properties, mechanism, response, locale }) => {
                put_long_string(to, client_properties.bytes());
                put_short_text(to, mechanism);
                put_long_string(to, response);
                put_short_text(to, locale);
            }
            Self::Secure => put_long_string(to, &[]),
            Self::Tune(tune) | Self::TuneOk(tune) => {
                to.extend_from_slice(&tune.channel_max.to_be_bytes());
                to.extend_from_slice(&tune.frame_max.to_be_bytes());
                to.extend_from_slice(&tune.heartbeat.to_be_bytes());
            }
            Self::Open(Open { vhost }) => {
                put_short_text(to, vhost);
                to.extend_from_slice(&[0, 0]);
            }
            Self::OpenOk => to.push(0),
            Self::Close(Close { code, text, cause }) => {
                to.extend_from_slice(&code.to_be_bytes());
                put_short_text(to, &String::from_utf8_lossy(text));
                to.extend_from_slice(&cause.0.to_be_bytes());
                to.extend_from_slice(&cause.1.to_be_bytes());
            }
            Self::CloseOk | Self::Unblocked => {}
            Self::Blocked(reason) => put_short_text(to, &String::from_utf8_lossy(reason)),
            Self::UpdateSecret => to.extend_from_slice(&[0, 0, 0, 0, 0]),
        }
        frame::method(&payload)
    }

    /// Its number in the class.
    #[must_use]
    pub fn number(&self) -> u16 {
        match self {
            Self::Start(_) => 10,
            Self::StartOk(_) => 11,
            Self::Secure => 20,
            Self::Tune(_) => 30,
            Self::TuneOk(_) => 31,
            Self::Open(_) => 40,
            Self::OpenOk => 41,
            Self::Close(_) => 50,
            Self::CloseOk => 51,
            Self::Blocked(_) => 60,
            Self::Unblocked => 61,
            Self::UpdateSecret => 70,
        }
    }

    /// Its class and number.
    #[must_use]
    pub fn id(&self) -> (u16, u16) {
        (CONNECTION, self.number())
    }

    /// A Close as a whole frame.
    #[must_use]
    pub fn close(code: Code, text: &str, cause: (u16, u16)) -> Vec<u8> {
        Method::Close(Close { code: code.number(), text: text.as_bytes(), cause }).frame()
    }
}

#[cfg(test)]
mod tests;
