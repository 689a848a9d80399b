//! Character sets by the collation ids that the log of MySQL and MariaDB names them by.
//!
//! Ids are fixed in both servers. MariaDB's nopad collations are the id plus 1024, and its UCA-1400
//! ones have 256 ids for each set from 2048 on.

use super::Charset;

/// Ids by character set, in ranges.
const IDS: &[(&str, &[(u32, u32)])] = &[
    ("big5", &[(1, 1), (84, 84)]),
    ("latin2", &[(2, 2), (9, 9), (21, 21), (27, 27), (77, 77)]),
    ("dec8", &[(3, 3), (69, 69)]),
    ("cp850", &[(4, 4), (80, 80)]),
    ("latin1", &[(5, 5), (8, 8), (15, 15), (31, 31), (47, 49), (94, 94)]),
    ("hp8", &[(6, 6), (72, 72)]),
    ("koi8r", &[(7, 7), (74, 74)]),
    ("swe7", &[(10, 10), (82, 82)]),
    ("ascii", &[(11, 11), (65, 65)]),
    ("ujis", &[(12, 12), (91, 91)]),
    ("sjis", &[(13, 13), (88, 88)]),
    ("cp1251", &[(14, 14), (23, 23), (50, 52)]),
    ("hebrew", &[(16, 16), (71, 71)]),
    ("tis620", &[(18, 18), (89, 89)]),
    ("euckr", &[(19, 19), (85, 85)]),
    ("latin7", &[(20, 20), (41, 42), (79, 79)]),
    ("koi8u", &[(22, 22), (75, 75)]),
    ("gb2312", &[(24, 24), (86, 86)]),
    ("greek", &[(25, 25), (70, 70)]),
    ("cp1250", &[(26, 26), (34, 34), (44, 44), (66, 66), (99, 99)]),
    ("gbk", &[(28, 28), (87, 87)]),
    ("cp1257", &[(29, 29), (58, 59)]),
    ("latin5", &[(30, 30), (78, 78)]),
    ("armscii8", &[(32, 32), (64, 64)]),
    ("utf8mb3", &[(33, 33), (76, 76), (83, 83), (192, 223), (576, 607), (2048, 2303)]),
    ("ucs2", &[(35, 35), (90, 90), (128, 159), (640, 671), (2560, 2815)]),
    ("cp866", &[(36, 36), (68, 68)]),
    ("keybcs2", &[(37, 37), (73, 73)]),
    ("macce", &[(38, 38), (43, 43)]),
    ("macroman", &[(39, 39), (53, 53)]),
    ("cp852", &[(40, 40), (81, 81)]),
    ("utf8mb4", &[(45, 46), (224, 247), (255, 323), (608, 639), (2304, 2559)]),
    ("utf16", &[(54, 55), (101, 127), (672, 703), (2816, 3071)]),
    ("utf16le", &[(56, 56), (62, 62)]),
    ("cp1256", &[(57, 57), (67, 67)]),
    ("utf32", &[(60, 61), (160, 191), (736, 767), (3072, 3327)]),
    ("binary", &[(63, 63)]),
    ("geostd8", &[(92, 93)]),
    ("cp932", &[(95, 96)]),
    ("eucjpms", &[(97, 98)]),
    ("gb18030", &[(248, 250)]),
];

impl Charset {
    /// The character set of a collation id; `None` for one that weir does not know.
    pub fn of_collation(id: u32, mariadb: bool) -> Option<Charset> {
        let id = if (1024..2048).contains(&id) { id - 1024 } else { id };
        let within = |(low, high): &(u32, u32)| (*low..=*high).contains(&id);
        let (name, _) = IDS.iter().find(|(_, ranges)| ranges.iter().any(within))?;
        Charset::named(name, mariadb)
    }
}
