//! Network addresses and log positions as PostgreSQL prints them.
//!
//! Source: `inet_net_ntop`, `macaddr_out`, `pg_lsn_out` of PostgreSQL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::transform::Reason;

/// An address and its mask. `network` is a `cidr`, whose mask is always told and which has no bits beyond it.
pub(crate) fn inet(text: &str, network: bool) -> Result<String, Reason> {
    let (address, mask) = parse(text)?;
    let width = width(address);
    let beyond = match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) & ((1_u128 << (32 - mask)) - 1),
        IpAddr::V6(v6) => match 128 - mask {
            128 => u128::from(v6),
            free => u128::from(v6) & ((1_u128 << free) - 1),
        },
    };
    if network && beyond != 0 {
        return Err(Reason::Parse);
    }
    let address = spell(address);
    Ok(if network || mask != width { format!("{address}/{mask}") } else { address })
}

/// The address alone, of the family that `bytes` says.
pub(crate) fn host(text: &str, bytes: u8) -> Result<IpAddr, Reason> {
    let (address, mask) = parse(text)?;
    if mask != width(address) {
        return Err(Reason::InetMask);
    }
    match (address, bytes) {
        (IpAddr::V4(_), 4) | (IpAddr::V6(_), 16) => Ok(address),
        _ => Err(Reason::OutOfRange),
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn parse(text: &str) -> Result<(IpAddr, u32), Reason> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| Reason::Parse)?;
    let mask = match mask {
        None => width(address),
        Some(mask) => {
            let plain = (1..=3).contains(&mask.len()) && mask.bytes().all(|b| b.is_ascii_digit());
            mask.parse().ok().filter(|_| plain).ok_or(Reason::Parse)?
        }
    };
    if mask <= width(address) { Ok((address, mask)) } else { Err(Reason::Parse) }
}

/// PostgreSQL prints the last four bytes with points where twelve zeros, or ten and two of 255, are before
/// them.
pub(crate) fn spell(address: IpAddr) -> String {
    let IpAddr::V6(v6) = address else { return address.to_string() };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let number = u32::from(high) << 16 | u32::from(low);
            format!("::{}", Ipv4Addr::from(number))
        }
        _ => Ipv6Addr::to_string(&v6),
    }
}

/// Six or eight bytes in hexadecimal.
pub(crate) fn mac(text: &str, bytes: u8) -> Result<String, Reason> {
    let text = text.replace('-', ":").to_ascii_lowercase();
    let pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fine = text.split(':').count() == usize::from(bytes) && text.split(':').all(pair);
    if fine { Ok(text) } else { Err(Reason::Parse) }
}

/// Two numbers in hexadecimal.
pub(crate) fn lsn(text: &str) -> Result<String, Reason> {
    let (high, low) = text.split_once('/').ok_or(Reason::Parse)?;
    let number = |part: &str| {
        let plain = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(part, 16).ok().filter(|_| plain).ok_or(Reason::Parse)
    };
    Ok(format!("{:X}/{:X}", number(high)?, number(low)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an address came out as another one, or a network with bits beyond its mask were sent.
    #[test]
    fn addresses_have_one_text() {
        for (text, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("192.168.1.5/24", "192.168.1.5/24"),
            ("2001:DB8:0::1/128", "2001:db8::1"),
            ("::1", "::1"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(inet(text, false).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "10.0.0", "10.0.0.1/33", "10.0.0.1/", "a", "10.0.0.1/+8", "1.2.3.4/08/1"] {
            assert_eq!(inet(text, false), Err(Reason::Parse), "{text}");
        }
        assert_eq!(inet("10.0.0.0/8", true).as_deref(), Ok("10.0.0.0/8"));
        assert_eq!(inet("10.0.0.1", true).as_deref(), Ok("10.0.0.1/32"));
        assert_eq!(inet("10.0.0.1/8", true), Err(Reason::Parse));
        assert_eq!(inet("::1/0", true), Err(Reason::Parse));
        assert_eq!(host("10.0.0.1/24", 4), Err(Reason::InetMask));
        assert_eq!(host("10.0.0.1", 16), Err(Reason::OutOfRange));
    }

    /// Broken if the bytes of another width, or no number, were taken.
    #[test]
    fn other_texts_have_one_spelling() {
        assert_eq!(mac("08-00-2B-01-02-03", 6).as_deref(), Ok("08:00:2b:01:02:03"));
        assert_eq!(mac("08:00:2b:01:02:03", 8), Err(Reason::Parse));
        assert_eq!(mac("08:00:2b:01:02:0", 6), Err(Reason::Parse));
        assert_eq!(lsn("16/b374d848").as_deref(), Ok("16/B374D848"));
        assert_eq!(lsn("0/0000000A").as_deref(), Ok("0/A"));
        assert_eq!(lsn("1/123456789"), Err(Reason::Parse));
    }
}
