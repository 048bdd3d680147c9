//! Outcomes for people, and for programs.
//!
//! Whatever came from a guest or a target is escaped before it meets a terminal. Meaning is never by colour alone.

use health_watch_audit::{Event, Record};
use health_watch_capability::message::Phases;
use health_watch_sandbox::{Ending, Failure, Outcome, Prepared};
use serde_json::json;
use std::io::{self, Write};

/// `text` with control characters, and characters that turn or hide text, escaped.
pub(crate) fn safe(text: &str) -> String {
    let hides =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let escape =
        |c: char| if c.is_control() || hides(c) { c.escape_default().collect::<String>() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Everything, as one JSON object.
pub(crate) fn json(prepared: &Prepared, outcome: &Outcome) -> io::Result<()> {
    let rules: Vec<_> =
        prepared.grant().rules().into_iter().map(|(kind, rule)| json!({ "kind": kind, "rule": rule })).collect();
    let dropped: Vec<_> =
        prepared.dropped().iter().map(|d| json!({ "what": d.what, "reason": d.reason, "why": d.why })).collect();
    let value = json!({
        "grant": { "rules": rules, "limits": prepared.grant().limits(), "dropped": dropped },
        "outcome": outcome,
    });
    writeln!(io::stdout(), "{value:#}")?;
    Ok(())
}

/// Everything, for a person.
pub(crate) fn text(prepared: &Prepared, outcome: &Outcome, note: Option<&str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let cause = outcome.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    writeln!(out, "{}{cause}  {}", outcome.status, headline(&outcome.ending))?;
    effects(&mut out, outcome)?;
    measurements(&mut out, outcome)?;
    decisions(&mut out, outcome)?;
    granted(&mut out, prepared)?;
    bill(&mut out, prepared, outcome)?;
    for line in &outcome.log {
        writeln!(out, "  log       {:>8}  {:<5}  {}", ms(line.at_us), line.level, safe(&line.message))?;
    }
    if let Some(note) = note {
        writeln!(out, "\n{note}")?;
    }
    Ok(())
}

fn headline(ending: &Ending) -> String {
    match ending {
        Ending::Reported(report) => report.message.lines().map(safe).collect::<Vec<_>>().join("\n      | "),
        Ending::Failed { failure: Failure::InvalidSettings(why) } => {
            format!("the probe does not accept its settings: {}", safe(why))
        }
        Ending::Failed { failure: Failure::Internal(why) } => format!("the probe failed: {}", safe(why)),
        Ending::Trapped { trap } => format!("the probe trapped: {}", safe(trap)),
        Ending::OverQuota(excess) => format!("the probe was stopped, {excess}; {}", excess.dimension.hint()),
    }
}

fn effects(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    for effect in &outcome.effects {
        let peer =
            effect.peer.as_ref().map(|peer| format!("  from {} port {}", peer.address, peer.port)).unwrap_or_default();
        writeln!(out, "  effect    {}: {}{peer}", safe(&effect.request), safe(&effect.end))?;
        writeln!(out, "            {}", phases(&effect.phases))?;
        if let Some(tls) = effect.peer.as_ref().and_then(|peer| peer.tls.as_ref()) {
            let certificate = &tls.certificate;
            let alpn = tls.alpn.as_deref().unwrap_or("-");
            writeln!(out, "            {} {} alpn {}", tls.version, tls.cipher, safe(alpn))?;
            writeln!(
                out,
                "            certificate {} days left, {}, from {}",
                certificate.days_left,
                safe(&certificate.subject),
                safe(&certificate.issuer)
            )?;
        }
    }
    Ok(())
}

fn phases(phases: &Phases) -> String {
    let tls = phases.tls_us.map(|us| format!("  tls {}", ms(us))).unwrap_or_default();
    format!(
        "resolve {}  connect {}{tls}  send {}  wait {}  receive {}  total {}",
        ms(phases.resolve_us),
        ms(phases.connect_us),
        ms(phases.send_us),
        ms(phases.wait_us),
        ms(phases.receive_us),
        ms(phases.total_us),
    )
}

fn ms(us: u64) -> String {
    format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
}

fn measurements(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    for (index, measurement) in outcome.measurements.iter().enumerate() {
        let label = if index == 0 { "measured" } else { "" };
        let unit = if measurement.unit == "1" { "" } else { &measurement.unit };
        writeln!(out, "  {label:<9} {} {} {}", measurement.name, rounded(measurement.value), safe(unit))?;
    }
    Ok(())
}

/// Three decimals where that loses nothing that matters.
fn rounded(value: f64) -> f64 {
    if (1e-2..1e9).contains(&value.abs()) { (value * 1000.0).round() / 1000.0 } else { value }
}

fn decisions(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let mut label = "decided";
    for record in &outcome.records {
        for line in decision(record) {
            writeln!(out, "  {label:<9} {line}")?;
            label = "";
        }
    }
    Ok(())
}

/// The lines of one record; the opening and closing ones are shown as grant and bill.
fn decision(record: &Record) -> Vec<String> {
    match &record.event {
        Event::Opened { .. } => Vec::new(),
        Event::Intent { request, rule, secret } => {
            let secret = secret.as_ref().map(|name| format!(" with secret `{}`", safe(name))).unwrap_or_default();
            vec![format!("#{} allowed {}{secret}  by {}", record.seq, safe(request), safe(rule))]
        }
        Event::Settled { intent, address, bytes_in, bytes_out, cpu_us, end } => {
            let address = address.map(|address| format!("{address}, ")).unwrap_or_default();
            vec![format!(
                "#{} settled #{intent}: {address}{}, {bytes_out} B out, {bytes_in} B in, CPU {}",
                record.seq,
                safe(end),
                ms(*cpu_us)
            )]
        }
        Event::Denied(denial) => vec![
            format!("#{} DENIED {}: {}  by {}", record.seq, safe(&denial.request), denial.reason, safe(&denial.rule)),
            format!("   to allow it: {}", safe(&denial.fix)),
        ],
        Event::OverQuota(excess) => vec![format!("#{} OVER QUOTA {excess}; {}", record.seq, excess.dimension.hint())],
        Event::Closed { calls, .. } => {
            let calls: Vec<_> =
                calls.iter().map(|call| format!("{} {} {}", call.count, call.kind, call.verdict)).collect();
            vec![format!(
                "#{} closed, {}",
                record.seq,
                if calls.is_empty() { "no calls".to_owned() } else { calls.join(", ") }
            )]
        }
    }
}

fn granted(out: &mut impl Write, prepared: &Prepared) -> io::Result<()> {
    let mut label = "granted";
    for (kind, rule) in prepared.grant().rules() {
        writeln!(out, "  {label:<9} {kind} {}", safe(&rule))?;
        label = "";
    }
    if label == "granted" {
        writeln!(out, "  granted   nothing")?;
    }
    for dropped in prepared.dropped() {
        writeln!(out, "  dropped   {} (to {}): {}", safe(&dropped.what), safe(&dropped.reason), safe(&dropped.why))?;
    }
    Ok(())
}

fn bill(out: &mut impl Write, prepared: &Prepared, outcome: &Outcome) -> io::Result<()> {
    let (bill, limits) = (&outcome.bill, prepared.grant().limits());
    writeln!(
        out,
        "  spent     guest CPU {} of {} ms, wall {} of {} ms, memory {} of {} KiB",
        ms(bill.guest_cpu_us).trim_end_matches(" ms"),
        limits.cpu_ms,
        ms(bill.wall_us).trim_end_matches(" ms"),
        limits.wall_ms,
        bill.memory_peak_bytes >> 10,
        limits.memory_bytes >> 10,
    )?;
    writeln!(
        out,
        "            effects' CPU {}, requests {} of {}, bytes in {} of {}, out {} of {}",
        ms(bill.effect_cpu_us),
        bill.requests,
        limits.requests,
        bill.bytes_in,
        limits.bytes_in,
        bill.bytes_out,
        limits.bytes_out,
    )
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn terminal_escapes_and_direction_marks_are_shown_not_sent() {
        let cases = [
            ("plain ünïcode", "plain ünïcode"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\nb", "a\\nb"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ];
        for (text, shown) in cases {
            assert_eq!(safe(text), shown);
        }
    }
}
