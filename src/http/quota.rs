//! What HTTP tells of quotas, and which address a client has.
//!
//! The fields are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` has what may be used in which window (`q`, `w`, and
//! the unit `qu` where that is not requests), `RateLimit` what is left (`r`) and when there is more (`t`). The units of tokens and
//! seconds are ours: the draft leaves room for them.
//!
//! A header is a claim of whoever sent it. Of `X-Forwarded-For` only as many entries are believed, from the right, as there are
//! proxies that are known to add one each.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use warp::{
    http::{HeaderMap, HeaderName, HeaderValue},
    reply::Response,
};

use super::{Context, Peer, Request, credentials, problem::Problem};
use crate::{
    conversation::Caller,
    limit::{Measure, Standing},
    service::Asker,
};

const FORWARDED_FOR: &str = "x-forwarded-for";
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Who sent a request, and from where.
pub(super) fn asker<'a>(context: &Context, caller: &'a Caller, Request { method, headers, peer, .. }: &Request) -> Asker<'a> {
    let address = client(peer.map(|Peer(peer)| peer.ip()), headers, context.settings.trusted_proxies);
    // A read queries nothing, so that a poll need not have its credentials read once more.
    let needs_proof = context.service.is_on_behalf() && !method.is_safe();
    let proof = if needs_proof { credentials::proof(headers) } else { None };
    Asker { caller, network: address.map(network), proof }
}

/// The address that the outermost of `proxies` saw. Where a request came past one of them, so that there are too few entries, or where the
/// entry is none, it is the peer's.
fn client(peer: Option<IpAddr>, headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    let Some(from_the_right) = proxies.checked_sub(1) else { return peer };
    // As bytes: what a client has put before the entry that counts may be no text, and must not take that entry with it.
    let mut entries = headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let entry = entries.nth(from_the_right).and_then(|entry| std::str::from_utf8(entry).ok());
    entry.and_then(|entry| address(entry.trim())).or(peer)
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

/// What counts as one client: an address of IPv4, a network of 64 bits of IPv6, which one client has to itself.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// Adds to `response` how quotas stand.
pub(super) fn tell(response: &mut Response, standings: &[Standing]) {
    if standings.is_empty() {
        return;
    }
    let (mut policy, mut standing) = (String::new(), String::new());
    for Standing { quota, limit, left, resets_after } in standings {
        let between = if policy.is_empty() { "" } else { ", " };
        let name = quota.name();
        // Writing to a String cannot fail.
        let _ = write!(policy, "{between}\"{name}\";q={limit}");
        if let Some(window) = quota.measure.window() {
            let _ = write!(policy, ";w={}", window.as_secs());
        }
        if let Some(unit) = unit(quota.measure) {
            let _ = write!(policy, ";qu=\"{unit}\"");
        }
        let _ = write!(standing, "{between}\"{name}\";r={left};t={}", resets_after.as_secs() + 1);
    }
    for (name, value) in [(POLICY, policy), (STANDING, standing)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
}

/// Requests are the unit where none is named.
fn unit(measure: Measure) -> Option<&'static str> {
    match measure {
        Measure::Requests | Measure::Questions => None,
        Measure::AtOnce => Some("concurrent-requests"),
        Measure::Tokens => Some("tokens"),
        Measure::Warehouse => Some("seconds"),
    }
}

/// What comes after a request was admitted: its response, which tells how its quotas stand.
pub(super) async fn telling(
    standings: Vec<Standing>,
    response: impl Future<Output = Result<Response, Problem>>,
) -> Result<Response, Problem> {
    let mut response = response.await?;
    tell(&mut response, &standings);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(proxies: usize, forwarded: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        client(Some(IpAddr::from([10, 0, 0, 1])), &headers, proxies).map(network)
    }

    #[test]
    fn only_what_known_proxies_added_tells_the_address() {
        for (proxies, forwarded, expected) in [
            (0, &[&b"203.0.113.9"[..]][..], "10.0.0.1"),
            (1, &[b"203.0.113.9"], "203.0.113.9"),
            (1, &[b"6.6.6.6, 203.0.113.9:4711"], "203.0.113.9"),
            (1, &[b"6.6.6.6", b"203.0.113.9"], "203.0.113.9"),
            (2, &[b"6.6.6.6, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
            (2, &[b"10.0.0.7"], "10.0.0.1"),
            (1, &[b"6.6.6.6, unknown"], "10.0.0.1"),
            (1, &[b"[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::/64"),
            (1, &[b"2001:db8:1:2:ffff::1"], "2001:db8:1:2::/64"),
            (1, &[b"::ffff:203.0.113.9"], "203.0.113.9"),
            // What a client sends is no text, and stays before what the proxy adds.
            (1, &[b"\xff, 203.0.113.9"], "203.0.113.9"),
            (1, &[b"6.6.6.6\x80,203.0.113.9"], "203.0.113.9"),
            (1, &["\u{fc}".as_bytes(), b"203.0.113.9"], "203.0.113.9"),
            (2, &[b"\xff, 203.0.113.9", b"10.0.0.7"], "203.0.113.9"),
            (1, &[b"203.0.113.9, \xff"], "10.0.0.1"),
        ] {
            assert_eq!(seen(proxies, forwarded).as_deref(), Some(expected), "{proxies} {forwarded:?}");
        }
        assert_eq!(client(None, &HeaderMap::new(), 1), None);
    }
}
