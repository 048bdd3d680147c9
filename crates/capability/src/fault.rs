//! Faults in what people write: where, what, and the fix; in their words, not the parser's.

use std::fmt;

/// A fault in a policy or manifest: where, what, and the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line in the text, from 1, where it is known.
    pub line: Option<usize>,
    /// The key, as a path from the top.
    pub key: String,
    /// What is wrong, with the input in backticks, and what to write instead.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

pub(crate) fn json_fault(error: &serde_json::Error) -> Fault {
    let message = error.to_string();
    let problem = message.rsplit_once(" at line ").map_or(message.as_str(), |(head, _)| head);
    Fault { line: Some(error.line()).filter(|line| *line > 0), key: String::new(), problem: in_words(problem) }
}

pub(crate) fn toml_fault(text: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    Fault { line, key: String::new(), problem: in_words(error.message()) }
}

/// Serde's message without the names of Rust types.
fn in_words(message: &str) -> String {
    let said = did_you_mean(message);
    let (head, expected) = said.split_once(", expected ").unwrap_or((&said, ""));
    let expected = match expected {
        "u64" | "u32" => "a whole number, 0 or more",
        "a sequence" => "a list",
        _ => return said.replacen("missing field", "missing key", 1).replacen("duplicate field", "duplicate key", 1),
    };
    format!("{head}, expected {expected}")
}

/// Adds the likely word to serde's `unknown field` message.
fn did_you_mean(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (Some(written), true) = (quoted.next(), message.starts_with("unknown field")) else {
        return message.to_owned();
    };
    let nearest = quoted.map(|known| (distance(written, known), known)).min();
    match nearest {
        Some((steps, known)) if steps <= 1 + written.len() / 4 => {
            format!("unknown key `{written}`; did you mean `{known}`?")
        }
        _ => message.replacen("field", "key", 1),
    }
}

/// Levenshtein distance, letters compared without case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.to_ascii_lowercase().into_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_ascii_lowercase().bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(x != *y)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
