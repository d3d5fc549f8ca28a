//! What a client tells of itself in the handshake: checked against its certificate, and handed on to the broker. Pure.

use kinetic_pki::Subject;

use super::refusal::Refusal;
use crate::amqp::{
    Malformed, Table,
    table::{TableBuf, Value},
};

/// Names that only Kinetic's own parts may give.
const OURS: &[u8] = b"kinetic.";
/// What a text is cut to before it is kept.
const LONGEST: usize = 200;

/// What a connection says of itself, for the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// `product` and `version`, or `kinetic.version`.
    pub version: Option<String>,
    /// `connection_name`, which people give their connections.
    pub name: Option<String>,
    /// An analyzer's sources (`kinetic.sources`).
    pub sources: Option<String>,
    /// Whether it wants to know when publishers are held up.
    pub takes_blocked: bool,
}

impl Announced {
    /// Reads a client's properties.
    pub fn read(properties: Table<'_>) -> Result<Self, Malformed> {
        let text = |name: &str| {
            let text = properties.get(name)?.text()?;
            Some(text.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>())
        };
        let capabilities = properties.get("capabilities").and_then(Value::table).transpose()?;
        let capable = |name| capabilities.is_some_and(|table| table.get(name) == Some(Value::Bool(true)));
        let program = match (text("product"), text("version")) {
            (Some(product), Some(version)) => Some(format!("{product} {version}")),
            (one, other) => one.or(other),
        };
        Ok(Self {
            version: text("kinetic.version").map(|version| format!("Kinetic {version}")).or(program),
            name: text("connection_name"),
            sources: text("kinetic.sources"),
            takes_blocked: capable("connection.blocked"),
        })
    }
}

/// The properties that the broker is given: those of the client, and by whom it is known here. An analyzer's claims must be its
/// certificate's; anybody else's are left out.
pub fn handed_on(
    properties: Table<'_>,
    subject: Option<&Subject>,
    name: &str,
    address: &str,
) -> Result<TableBuf, Refusal> {
    let mut kept = TableBuf::default();
    for field in properties.fields() {
        if !field.name.starts_with(OURS) {
            kept.copy(field);
            continue;
        }
        let Some(Subject::Analyzer { topology, partition, .. }) = subject else { continue };
        let claims: [(&'static str, String); 3] = [
            ("kinetic.role", "analyzer".to_owned()),
            ("kinetic.topology", topology.to_string()),
            ("kinetic.partition", partition.to_string()),
        ];
        for (property, certified) in claims {
            if field.name == property.as_bytes() {
                let claimed = match field.value {
                    Value::Text(text) => String::from_utf8_lossy(text).chars().take(LONGEST).collect(),
                    Value::Other(_, bytes) => integer(bytes).to_string(),
                    _ => String::from("(neither text nor number)"),
                };
                // `0/2`: the second of a claim's numbers is how many there are.
                let named = claimed.split('/').next().unwrap_or_default();
                if named != certified {
                    return Err(Refusal::Claim { property, claimed, certified });
                }
            }
        }
        kept.copy(field);
    }
    Ok(kept.text("kinetic.identity", name).text("kinetic.address", address))
}

fn integer(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(path: &str) -> Subject {
        format!("spiffe://kinetic.local{path}").parse::<kinetic_pki::Identity>().unwrap().subject
    }

    #[test]
    fn a_client_claims_no_role() {
        let claims = TableBuf::default()
            .text("product", "x")
            .text("kinetic.role", "analyzer")
            .text("kinetic.identity", "alert");
        let web = subject("/customers/acme/clients/web");
        let kept = handed_on(claims.as_table(), Some(&web), "acme/web", "10.0.0.1:4000").unwrap();
        let kept = kept.as_table();
        let names: Vec<_> =
            kept.fields().map(|field| String::from_utf8_lossy(field.name).into_owned()).collect();
        assert_eq!(names, ["product", "kinetic.identity", "kinetic.address"]);
        assert_eq!(kept.get("kinetic.identity").and_then(Value::text), Some("acme/web"));
    }

    #[test]
    fn an_analyzers_claims_are_its_certificates() {
        let analyzer = subject("/customers/acme/topologies/web/analyzers/1");
        let of = |topology, partition| {
            let claims = TableBuf::default()
                .text("kinetic.role", "analyzer")
                .text("kinetic.topology", topology)
                .text("kinetic.partition", partition);
            handed_on(claims.as_table(), Some(&analyzer), "a", "b")
                .map(|kept| kept.as_table().fields().count())
        };
        assert_eq!(of("web", "1/2"), Ok(5));
        assert_eq!(of("web", "1"), Ok(5));
        assert!(matches!(of("shop", "1"), Err(Refusal::Claim { property: "kinetic.topology", .. })));
        assert!(matches!(of("web", "0/2"), Err(Refusal::Claim { property: "kinetic.partition", .. })));
    }

    #[test]
    fn what_is_told_is_kept_short_and_clean() {
        let capabilities =
            TableBuf::default().bool("connection.blocked", true).bool("authentication_failure_close", false);
        let told = TableBuf::default()
            .text("product", "pika")
            .text("version", "1.3\n")
            .text("connection_name", &"n".repeat(1000))
            .table("capabilities", &capabilities);
        let announced = Announced::read(told.as_table()).unwrap();
        assert_eq!(announced.version.as_deref(), Some("pika 1.3"));
        assert_eq!(announced.name.map(|name| name.len()), Some(LONGEST));
        assert!(announced.takes_blocked);
    }
}
