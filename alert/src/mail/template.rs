//! Templates: Jinja, bounded in what they may take.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};

/// Instructions that a template may take: a page of text takes some thousands.
const FUEL: u64 = 200_000;

/// How a template's values are written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// As they are.
    Text,
    /// Escaped for HTML.
    Html,
}

/// Renders a template. A name that does not exist is an error, so that a slip of the pen is seen.
pub(super) fn render(name: &str, source: &str, output: Output, context: &Value) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters"));
    environment.set_auto_escape_callback(move |_| match output {
        Output::Text => AutoEscape::None,
        Output::Html => AutoEscape::Html,
    });
    environment.render_named_str(name, source, context.clone()).map_err(|error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let context = context! { origin => "<b>&web" };
        assert_eq!(render("t", "{{ origin }}", Output::Text, &context).unwrap(), "<b>&web");
        assert_eq!(render("t", "{{ origin }}", Output::Html, &context).unwrap(), "&lt;b&gt;&amp;web");
    }

    #[test]
    fn what_is_broken_is_said_and_where() {
        let context = context! { origin => "web-3" };
        let typo = render("subjectTemplate", "{{ orign }}", Output::Text, &context).unwrap_err();
        assert!(typo.contains("undefined") && typo.contains("subjectTemplate"), "{typo}");
        assert!(render("t", "{% if %}", Output::Text, &context).unwrap_err().contains("syntax error"));
    }

    #[test]
    fn endless_templates_end() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(render("t", endless, Output::Text, &context! {}).unwrap_err().contains("fuel"));
    }
}
