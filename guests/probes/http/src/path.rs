//! Singular queries of JSONPath (RFC 9535 §2.3.5.1): a path from the root to at most one value.
//!
//! Only these: a check is about one value, and a query that finds many would need words for "any" and "all".

use serde_json::Value;

/// Steps from the root of a JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    /// As written.
    pub(crate) text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    Index(i64),
}

/// RFC 9535 §2.1: integers that every implementation holds exactly.
const INDEX_MAX: i64 = (1 << 53) - 1;

impl Path {
    /// Reads a query. The error says what was expected and where.
    pub(crate) fn parse(text: &str) -> Result<Path, String> {
        let mut reader = Reader { rest: text };
        let steps = reader.query().map_err(|expected| match reader.rest {
            "" => format!("{expected} expected at the end"),
            rest => format!("{expected} expected before `{rest}`"),
        })?;
        Ok(Path { text: text.to_string(), steps })
    }

    /// The value at this path.
    pub(crate) fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(root, |value, step| step.of(value))
    }
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match (self, value) {
            (Step::Name(name), Value::Object(map)) => map.get(name),
            (Step::Index(index), Value::Array(values)) => {
                let index = if *index < 0 { index + i64::try_from(values.len()).ok()? } else { *index };
                values.get(usize::try_from(index).ok()?)
            }
            _ => None,
        }
    }
}

/// What is still to be read.
struct Reader<'a> {
    rest: &'a str,
}

type Expected = &'static str;

impl Reader<'_> {
    fn query(&mut self) -> Result<Vec<Step>, Expected> {
        self.expect('$', "`$`")?;
        let mut steps = Vec::new();
        loop {
            let rest = self.rest;
            self.skip_blanks();
            if self.rest.is_empty() {
                return if rest.is_empty() { Ok(steps) } else { Err("no blank") };
            }
            steps.push(self.step()?);
        }
    }

    fn step(&mut self) -> Result<Step, Expected> {
        if self.accept('.') {
            return self.shorthand();
        }
        self.expect('[', "`.name`, `['name']` or `[0]`")?;
        self.skip_blanks();
        let step = match self.peek() {
            Some(quote @ ('\'' | '"')) => Step::Name(self.quoted(quote)?),
            _ => Step::Index(self.index()?),
        };
        self.skip_blanks();
        self.expect(']', "`]`")?;
        Ok(step)
    }

    fn shorthand(&mut self) -> Result<Step, Expected> {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        if !self.peek().is_some_and(is_first) {
            return Err("a name (a letter, then letters and digits; write others as `['name']`)");
        }
        Ok(Step::Name(self.take_while(|c| is_first(c) || c.is_ascii_digit())))
    }

    fn index(&mut self) -> Result<i64, Expected> {
        const EXPECTED: Expected = "`'name'` or a whole number";
        let before = self.rest;
        let sign = if self.accept('-') { -1 } else { 1 };
        let digits = self.take_while(|c| c.is_ascii_digit());
        let in_order = if digits.starts_with('0') { digits.len() == 1 && sign > 0 } else { !digits.is_empty() };
        let index = digits.parse().ok().filter(|index| in_order && *index <= INDEX_MAX);
        index.map(|index: i64| sign * index).ok_or_else(|| {
            self.rest = before;
            EXPECTED
        })
    }

    fn quoted(&mut self, quote: char) -> Result<String, Expected> {
        self.expect(quote, "a quote")?;
        let mut name = String::new();
        loop {
            match self.next() {
                Some(c) if c == quote => return Ok(name),
                Some('\\') => name.push(self.escaped(quote)?),
                Some(c) if c >= ' ' => name.push(c),
                Some(_) => return Err("no control character"),
                None => return Err("the closing quote"),
            }
        }
    }

    fn escaped(&mut self, quote: char) -> Result<char, Expected> {
        Ok(match self.next() {
            Some('b') => '\u{8}',
            Some('t') => '\t',
            Some('n') => '\n',
            Some('f') => '\u{c}',
            Some('r') => '\r',
            Some(c) if c == '/' || c == '\\' || c == quote => c,
            Some('u') => return self.unicode(),
            _ => return Err("an escape such as `\\n` or `\\u00e4`"),
        })
    }

    fn unicode(&mut self) -> Result<char, Expected> {
        const EXPECTED: Expected = "a Unicode escape such as `\\u00e4`";
        let first = self.four_digits().ok_or(EXPECTED)?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.expect('\\', EXPECTED)?;
            self.expect('u', EXPECTED)?;
            let second = self.four_digits().filter(|second| (0xdc00..0xe000).contains(second)).ok_or(EXPECTED)?;
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or(EXPECTED)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.rest = self.rest.get(4..)?;
        u32::from_str_radix(digits, 16).ok()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let (taken, rest) = self.rest.split_at(self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken.to_string()
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = self.rest.get(next.len_utf8()..)?;
        Some(next)
    }

    fn accept(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, wanted: char, expected: Expected) -> Result<(), Expected> {
        if self.accept(wanted) { Ok(()) } else { Err(expected) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_finds_one_value_or_none() {
        let root = json!({
            "a": {"b": [10, 20, {"c": null}]}, "k k": 1, "ä": 2, "it's": 3, "say \"x\"": 4, "\n/\\": 5, "😀": 6, "_1": 7, "": 8
        });
        let check = |path: &str, expected: Option<Value>| {
            assert_eq!(Path::parse(path).unwrap().find(&root).cloned(), expected, "{path}");
        };
        check("$", Some(root.clone()));
        check("$.a.b[0]", Some(json!(10)));
        check("$['a'][\"b\"][1]", Some(json!(20)));
        check("$ ['a'] [ 'b' ]\t.c", None);
        check("$ ['a']\n[ 'b' ]", Some(json!([10, 20, {"c": null}])));
        check("$.a.b[-1].c", Some(Value::Null));
        check("$.a.b[-3]", Some(json!(10)));
        check("$.a.b[-4]", None);
        check("$.a.b[3]", None);
        check("$.a.b.c", None);
        check("$.a[0]", None);
        check("$.x", None);
        check("$['k k']", Some(json!(1)));
        check("$.ä", Some(json!(2)));
        check("$['\\u00e4']", Some(json!(2)));
        check("$['it\\'s']", Some(json!(3)));
        check("$[\"it's\"]", Some(json!(3)));
        check("$['say \"x\"']", Some(json!(4)));
        check("$['\\n\\/\\\\']", Some(json!(5)));
        check("$['\\uD83D\\uDE00']", Some(json!(6)));
        check("$._1", Some(json!(7)));
        check("$['']", Some(json!(8)));
    }

    #[test]
    fn what_is_not_a_singular_query() {
        for (path, expected) in [
            ("", "`$` expected at the end"),
            ("a.b", "`$` expected before `a.b`"),
            ("$.", "a name (a letter, then letters and digits; write others as `['name']`) expected at the end"),
            ("$..a", "a name (a letter, then letters and digits; write others as `['name']`) expected before `.a`"),
            ("$.1", "a name (a letter, then letters and digits; write others as `['name']`) expected before `1`"),
            ("$a", "`.name`, `['name']` or `[0]` expected before `a`"),
            ("$.a-b", "`.name`, `['name']` or `[0]` expected before `-b`"),
            ("$[*]", "`'name'` or a whole number expected before `*]`"),
            ("$[01]", "`'name'` or a whole number expected before `01]`"),
            ("$[-0]", "`'name'` or a whole number expected before `-0]`"),
            ("$[9007199254740992]", "`'name'` or a whole number expected before `9007199254740992]`"),
            ("$[0:1]", "`]` expected before `:1]`"),
            ("$['a','b']", "`]` expected before `,'b']`"),
            ("$['a", "the closing quote expected at the end"),
            ("$['\\x']", "an escape such as `\\n` or `\\u00e4` expected before `']`"),
            ("$['\\\"']", "an escape such as `\\n` or `\\u00e4` expected before `']`"),
            ("$['\\ud83d']", "a Unicode escape such as `\\u00e4` expected before `']`"),
            ("$['\\udc00']", "a Unicode escape such as `\\u00e4` expected before `']`"),
            ("$.a ", "no blank expected at the end"),
        ] {
            assert_eq!(Path::parse(path), Err(expected.to_string()), "{path}");
        }
    }
}
