//! A line that a person types, or a script pipes.

use anyhow::{Context, bail};
use kinetic_api::control::{Command, Values};
use serde_json::Value as Json;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    Nothing,
    Command(Command),
    Help,
    Quit,
}

/// What there is.
pub(super) const HELP: &str = "\
/read                              the configuration object
/update slow-host.deviation: 3     overrides one key
/update {a.deviation: 3, b.after: 2m}
                                   overrides several, all or none
/delete slow-host.deviation        takes an override back
/delete                            takes all overrides back
/quit                              (or Ctrl-D)";

/// Reads a line.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub(super) fn parse(line: &str) -> anyhow::Result<Input> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let bare = |input: Input| {
        if rest.is_empty() { Ok(input) } else { bail!("{word} takes nothing: `{rest}` is too much") }
    };
    match word {
        "" => Ok(Input::Nothing),
        "/read" => bare(Input::Command(Command::Read)),
        "/help" => bare(Input::Help),
        "/quit" => bare(Input::Quit),
        "/update" => Ok(Input::Command(Command::Update(values(rest)?))),
        "/delete" => {
            let keys = rest.split([' ', ',']).filter(|key| !key.is_empty()).map(str::to_owned).collect();
            Ok(Input::Command(Command::Delete(keys)))
        }
        _ => bail!("`{word}` is no command: there are /read, /update, /delete, /help, /quit"),
    }
}

/// A map in JSON or YAML, or one `key: value`.
fn values(text: &str) -> anyhow::Result<Values> {
    const EXAMPLE: &str = "write /update slow-host.deviation: 3, or /update {a.deviation: 3, b.after: 2m}";
    if text.is_empty() {
        bail!("nothing to update: {EXAMPLE}");
    }
    if !text.starts_with('{') {
        let (key, value) =
            text.split_once(':').with_context(|| format!("`{text}` is no key with a value: {EXAMPLE}"))?;
        let value = value.trim();
        let value: Json = serde_saphyr::from_str(value).with_context(|| format!("`{value}` is no value"))?;
        return Ok(Values::from([(key.trim().trim_matches('"').to_owned(), value)]));
    }
    let values: Values = match serde_json::from_str(text) {
        Ok(values) => values,
        Err(_) => serde_saphyr::from_str(text).with_context(|| format!("this is no map: {EXAMPLE}"))?,
    };
    // `{a:3}` is YAML for a key `a:3` with nothing behind it.
    if let Some(key) =
        values.iter().find_map(|(key, value)| (value.is_null() && key.contains(':')).then_some(key))
    {
        bail!("`{key}` has no value: YAML wants a space after the colon, as in {{a.deviation: 3}}");
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn updated(line: &str) -> Json {
        match parse(line).unwrap() {
            Input::Command(Command::Update(values)) => json!(values),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn dictionaries_and_single_keys() {
        let both = json!({ "a.deviation": 3, "b.after": "2m" });
        assert_eq!(updated("/update {a.deviation: 3, b.after: 2m}"), both);
        assert_eq!(updated(r#"  /update {"a.deviation": 3, "b.after": "2m"}"#), both);
        assert_eq!(updated("/update a.deviation: 3"), json!({ "a.deviation": 3 }));
        assert_eq!(updated("/update a.deviation:3.5"), json!({ "a.deviation": 3.5 }));
        assert_eq!(updated("/update a.after:2m"), json!({ "a.after": "2m" }));
        assert_eq!(updated("/update a.direction: Above"), json!({ "a.direction": "Above" }));
    }

    #[test]
    fn the_other_commands() {
        let delete =
            |keys: &[&str]| Input::Command(Command::Delete(keys.iter().map(|k| (*k).to_owned()).collect()));
        for (line, expected) in [
            ("", Input::Nothing),
            ("/read\n", Input::Command(Command::Read)),
            ("/delete", delete(&[])),
            ("/delete a.b", delete(&["a.b"])),
            ("/delete a.b, c.d e.f", delete(&["a.b", "c.d", "e.f"])),
            ("/help", Input::Help),
            ("/quit", Input::Quit),
        ] {
            assert_eq!(parse(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, said) in [
            ("read", "`read` is no command"),
            ("/uptade a: 3", "there are /read, /update"),
            ("/update", "nothing to update"),
            ("/update a.deviation", "no key with a value"),
            ("/update {a.deviation:3}", "a space after the colon"),
            ("/update {a: 3", "this is no map"),
            ("/update [1]", "no key with a value"),
            ("/read all", "`all` is too much"),
        ] {
            let error = format!("{:#}", parse(line).unwrap_err());
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = "&a [x,x,x,x,x,x,x,x,x]".to_owned();
        let bomb = (0..9).fold(bomb, |text, n| format!("{text}, k{n}: &b{n} [*a,*a,*a,*a,*a,*a,*a,*a,*a]"));
        let _ = parse(&format!("/update {{k: {bomb}}}"));
        assert!(parse(&format!("/update {}", "{a: ".repeat(50_000))).is_err());
    }
}
