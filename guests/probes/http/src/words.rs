//! Numbers and status codes in words.

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// `1 byte`, `1,234 bytes`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count as u64))
}

/// Microseconds as `12 ms`, below 10 ms as `1.2 ms`.
pub(crate) fn milliseconds(us: u64) -> String {
    if us < 10_000 { format!("{}.{} ms", us / 1000, us % 1000 / 100) } else { format!("{} ms", grouped(us / 1000)) }
}

/// `one, two or three`.
pub(crate) fn alternatives(words: &[String]) -> String {
    match words {
        [front @ .., last] if !front.is_empty() => format!("{} or {last}", front.join(", ")),
        _ => words.concat(),
    }
}

/// `404 Not Found`.
pub(crate) fn status(code: u16) -> String {
    let reason = reason(code);
    if reason.is_empty() { code.to_string() } else { format!("{code} {reason}") }
}

/// The reason phrase of a status code (RFC 9110 §15), where monitoring often meets it.
fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567"), (100000, "100,000")]
        {
            assert_eq!(grouped(number), expected);
        }
        for (us, expected) in
            [(0, "0.0 ms"), (950, "0.9 ms"), (9_999, "9.9 ms"), (10_000, "10 ms"), (1_234_567, "1,234 ms")]
        {
            assert_eq!(milliseconds(us), expected);
        }
    }

    #[test]
    fn lists_and_codes() {
        for (words, expected) in
            [(vec![], ""), (vec!["a"], "a"), (vec!["a", "b"], "a or b"), (vec!["a", "b", "c"], "a, b or c")]
        {
            let words: Vec<String> = words.into_iter().map(str::to_string).collect();
            assert_eq!(alternatives(&words), expected);
        }
        assert_eq!((status(404).as_str(), status(299).as_str()), ("404 Not Found", "299"));
    }
}
