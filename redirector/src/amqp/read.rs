//! Steps through bytes that a peer sent.

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The frame ends within a field.
    #[error("the frame ends within a field")]
    Short,
    /// A field's type is none of AMQP 0-9-1's, nor RabbitMQ's.
    #[error("a field of the unknown type {0:#04x}")]
    Type(u8),
    /// A name or text is not UTF-8.
    #[error("a text that is not UTF-8")]
    Text,
    /// A text is longer than its length can say.
    #[error("a text of more than 255 bytes")]
    Long,
    /// Bytes follow the last field.
    #[error("bytes after the last field")]
    Rest,
    /// Not a method of a connection that the front door knows.
    #[error("the unknown method {0}.{1}")]
    Method(u16, u16),
    /// A content header of another class than `basic`, or with property flags that it does not have.
    #[error("a content header that is none of basic's")]
    Header,
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn octet(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(super) fn short(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A short string: an octet of length, and bytes.
    pub(super) fn short_string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.octet()?;
        self.take(usize::from(length))
    }

    pub(super) fn short_text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.short_string()?).map_err(|_| Malformed::Text)
    }

    /// A long string, array or table: four octets of length, and bytes.
    pub(super) fn long_string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.long()?;
        self.take(length as usize)
    }

    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Rest) }
    }
}

/// Writes a short string, cut to what its length can say, at a character's end.
pub(super) fn put_short_text(to: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u8::MAX))];
    to.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    to.extend_from_slice(text.as_bytes());
}

/// Writes a long string, array or table.
pub(super) fn put_long_string(to: &mut Vec<u8>, bytes: &[u8]) {
    let length =
        u32::try_from(bytes.len()).expect("what is sent is smaller than a frame, whose length is 32 bits");
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}
