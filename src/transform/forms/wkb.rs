//! Geometry in well-known binary: checked in full, and brought into one form (lowest byte first, two
//! dimensions). MySQL and MariaDB keep it behind four bytes of the reference system; PostGIS and bytea hold
//! it as EWKB, which tells the system inside.
//!
//! No length that a value claims is believed: what is read must be there. Source: OGC 06-103r4;
//! `LWGEOM_PARSE` of PostGIS for EWKB.

use crate::transform::Reason;

/// Collections in collections.
const DEPTH_MAX: u8 = 16;
/// EWKB: the value has a height, a measure, a reference system.
const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;

/// A geometry: its reference system, and its WKB in the one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) srid: u32,
    pub(crate) wkb: Vec<u8>,
}

impl Geometry {
    /// Of MySQL's and MariaDB's bytes.
    pub(crate) fn of_stored(bytes: &[u8]) -> Result<Geometry, Reason> {
        let (srid, wkb) = bytes.split_first_chunk::<4>().ok_or(Reason::Parse)?;
        let geometry = Geometry::of_ewkb(wkb)?;
        if geometry.srid != 0 {
            return Err(Reason::Parse);
        }
        Ok(Geometry { srid: u32::from_le_bytes(*srid), ..geometry })
    }

    /// Of WKB or EWKB.
    pub(crate) fn of_ewkb(bytes: &[u8]) -> Result<Geometry, Reason> {
        let mut reader = Reader { bytes, at: 0, out: Vec::with_capacity(bytes.len()), srid: 0 };
        reader.geometry(None, DEPTH_MAX)?;
        if reader.at != bytes.len() {
            return Err(Reason::Parse);
        }
        Ok(Geometry { srid: reader.srid, wkb: reader.out })
    }

    /// A point without reference system.
    pub(crate) fn point(x: f64, y: f64) -> Result<Geometry, Reason> {
        if !x.is_finite() || !y.is_finite() {
            return Err(Reason::NonFinite);
        }
        let mut wkb = vec![1];
        wkb.extend(1_u32.to_le_bytes());
        wkb.extend(x.to_le_bytes());
        wkb.extend(y.to_le_bytes());
        Ok(Geometry { srid: 0, wkb })
    }

    /// The coordinates of a point.
    pub(crate) fn coordinates(&self) -> Option<(f64, f64)> {
        let x = self.wkb.get(5..13)?.try_into().ok()?;
        let y = self.wkb.get(13..21)?.try_into().ok()?;
        (self.kind() == Some(1)).then(|| (f64::from_le_bytes(x), f64::from_le_bytes(y)))
    }

    /// The kind: 1 is a point, 7 a collection.
    pub(crate) fn kind(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.wkb.get(1..5)?.try_into().ok()?))
    }

    /// As MySQL and MariaDB keep it.
    pub(crate) fn stored(&self) -> Vec<u8> {
        [self.srid.to_le_bytes().as_slice(), &self.wkb].concat()
    }

    /// As EWKB; plain WKB where there is no reference system.
    pub(crate) fn ewkb(&self) -> Vec<u8> {
        let Some(kind) = self.kind().filter(|_| self.srid != 0) else { return self.wkb.clone() };
        let mut bytes = vec![1];
        bytes.extend((kind | HAS_SRID).to_le_bytes());
        bytes.extend(self.srid.to_le_bytes());
        bytes.extend_from_slice(self.wkb.get(5..).unwrap_or_default());
        bytes
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    out: Vec<u8>,
    srid: u32,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let end = self.at.checked_add(N).ok_or(Reason::Parse)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Reason::Parse)?;
        self.at = end;
        bytes.try_into().map_err(|_| Reason::Parse)
    }

    fn number(&mut self, low_first: bool) -> Result<u32, Reason> {
        let bytes = self.take::<4>()?;
        Ok(if low_first { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn count(&mut self, low_first: bool) -> Result<u32, Reason> {
        let count = self.number(low_first)?;
        self.out.extend(count.to_le_bytes());
        Ok(count)
    }

    /// One geometry; of the kind `within`, where a collection holds only such.
    fn geometry(&mut self, within: Option<u32>, depth: u8) -> Result<(), Reason> {
        let depth = depth.checked_sub(1).ok_or(Reason::GeometryUnsupported)?;
        let low_first = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            _ => return Err(Reason::Parse),
        };
        let code = self.number(low_first)?;
        let kind = code & !HAS_SRID;
        if code & (HAS_Z | HAS_M) != 0 || kind >= 1000 {
            return Err(Reason::GeometryUnsupported);
        }
        if code & HAS_SRID != 0 {
            let srid = self.number(low_first)?;
            if depth + 1 != DEPTH_MAX && srid != self.srid {
                return Err(Reason::GeometryUnsupported);
            }
            self.srid = srid;
        }
        if within.is_some_and(|within| within != kind) {
            return Err(Reason::Parse);
        }
        self.out.push(1);
        self.out.extend(kind.to_le_bytes());
        match kind {
            1 => self.points(1, low_first),
            2 => self.line(low_first, 2).map(drop),
            3 => self.polygon(low_first),
            4..=7 => {
                let count = self.count(low_first)?;
                let inner = (kind < 7).then(|| kind - 3);
                (0..count).try_for_each(|_| self.geometry(inner, depth))
            }
            8..=17 => Err(Reason::GeometryUnsupported),
            _ => Err(Reason::Parse),
        }
    }

    fn points(&mut self, count: u32, low_first: bool) -> Result<(), Reason> {
        for _ in 0..u64::from(count) * 2 {
            let bytes = self.take::<8>()?;
            let number =
                if low_first { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) };
            if !number.is_finite() {
                return Err(Reason::NonFinite);
            }
            self.out.extend(number.to_le_bytes());
        }
        Ok(())
    }

    /// Points with their number before them; returns where they lie in what is written.
    fn line(&mut self, low_first: bool, least: u32) -> Result<(usize, usize), Reason> {
        let count = self.count(low_first)?;
        if count < least {
            return Err(Reason::GeometryUnsupported);
        }
        let begin = self.out.len();
        self.points(count, low_first)?;
        Ok((begin, self.out.len()))
    }

    /// Rings, each of which ends where it began.
    fn polygon(&mut self, low_first: bool) -> Result<(), Reason> {
        let count = self.count(low_first)?;
        if count == 0 {
            return Err(Reason::GeometryUnsupported);
        }
        for _ in 0..count {
            let (begin, end) = self.line(low_first, 4)?;
            let closed = self.out.get(begin..begin + 16) == self.out.get(end - 16..end);
            if !closed {
                return Err(Reason::GeometryUnsupported);
            }
        }
        Ok(())
    }
}

/// The bytes of hexadecimal digits, as PostGIS prints a geometry.
pub(crate) fn unhex(text: &str) -> Result<Vec<u8>, Reason> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Reason::Parse);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Reason::Parse);
    pairs.iter().map(|[high, low]| Ok((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

/// Hexadecimal digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "01020000000200000000000000000000000000000000000000000000000000f03f000000000000f03f";

    /// Broken if a geometry lost its reference system or became another.
    #[test]
    fn geometries_keep_their_system() {
        let wkb = unhex(LINE).unwrap();
        let stored = [&[0xE6, 0x10, 0, 0], wkb.as_slice()].concat();
        let geometry = Geometry::of_stored(&stored).unwrap();
        assert_eq!((geometry.srid, geometry.kind()), (4326, Some(2)));
        assert_eq!(geometry.stored(), stored);
        assert_eq!(Geometry::of_ewkb(&geometry.ewkb()), Ok(geometry));
        let plain = Geometry::of_ewkb(&wkb).unwrap();
        assert_eq!(plain.ewkb(), wkb);
        let point = Geometry::point(1.5, -2.0).unwrap();
        assert_eq!(Geometry::of_stored(&point.stored()).unwrap().coordinates(), Some((1.5, -2.0)));
        let big = unhex("00000000013ff8000000000000c000000000000000").unwrap();
        assert_eq!(Geometry::of_ewkb(&big), Ok(point));
    }

    /// Broken if a value claimed more than there is, or what MySQL refuses or bends were sent.
    #[test]
    fn what_is_no_geometry_is_refused() {
        let of = |text: &str| Geometry::of_ewkb(&unhex(text).unwrap());
        for text in ["", "01", "0102000000ffffffff", "0104000000ffffffff", "02", "0100000000"] {
            assert_eq!(of(text), Err(Reason::Parse), "{text}");
        }
        let nan = "0101000000000000000000f87f000000000000f87f";
        assert_eq!(of(nan), Err(Reason::NonFinite));
        let unsupported = Err(Reason::GeometryUnsupported);
        for text in ["0101000080", "01e9030000", "0108000000", "010300000000000000"] {
            assert_eq!(of(text), unsupported, "{text}");
        }
        let deep = "010700000001000000".repeat(40);
        assert_eq!(of(&deep), unsupported);
        assert!(Geometry::of_stored(&[1, 2]).is_err());
        for end in 0..40 {
            assert!(of(&LINE[..2 * end]).is_err(), "{end}");
        }
    }
}
