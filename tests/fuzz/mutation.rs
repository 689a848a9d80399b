//! How inputs are altered: bits, bytes, numbers at their borders, words of the target, pieces of other
//! inputs, and pieces repeated until the input is as long as it may be.

/// Numbers at which lengths and counts go wrong.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    7,
    16,
    127,
    128,
    250,
    255,
    256,
    4096,
    32_767,
    32_768,
    65_535,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    u64::MAX,
];

/// An input made of others.
pub(crate) fn mutate(
    random: &mut fastrand::Rng,
    pool: &[Vec<u8>],
    words: &[&str],
    bytes_max: usize,
) -> Vec<u8> {
    let mut input = pool[random.usize(..pool.len())].clone();
    let steps = 1 << random.u32(0..5);
    for _ in 0..random.usize(1..=steps) {
        alter(random, &mut input, pool, words, bytes_max);
    }
    input.truncate(bytes_max);
    input
}

fn alter(
    random: &mut fastrand::Rng,
    input: &mut Vec<u8>,
    pool: &[Vec<u8>],
    words: &[&str],
    bytes_max: usize,
) {
    let at = random.usize(0..=input.len());
    let length = 1 << random.u32(0..7);
    let range = at..(at + random.usize(1..=length)).min(input.len());
    match random.u8(0..16) {
        0 | 1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.u8(0..8);
            }
        }
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.u8(..);
            }
        }
        3 => input.insert(at, random.u8(..)),
        4 | 5 => drop(input.drain(range)),
        6 => input.truncate(at),
        7 | 8 => overwrite(input, at, &number(random)),
        9 => drop(input.splice(at..at, number(random))),
        10 => {
            let copy = input[range].to_vec();
            let to = random.usize(0..=input.len());
            input.splice(to..to, copy);
        }
        11 => {
            let other = &pool[random.usize(..pool.len())];
            let from = random.usize(0..=other.len());
            let to = random.usize(from..=other.len());
            let piece = other[from..to].to_vec();
            let end = if random.bool() { input.len() } else { at };
            input.splice(at..end, piece);
        }
        // Seldom, since it takes the time of many small ones.
        12 if random.u8(0..16) == 0 => repeat(random, input, range, bytes_max),
        13 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = byte.wrapping_add_signed(random.i8(-3..=3));
            }
        }
        _ => word(random, input, at, words),
    }
}

/// Fills the input up with one piece of it.
fn repeat(
    random: &mut fastrand::Rng,
    input: &mut Vec<u8>,
    range: std::ops::Range<usize>,
    bytes_max: usize,
) {
    let piece = input[range.clone()].to_vec();
    if piece.is_empty() {
        return;
    }
    let room = bytes_max.saturating_sub(input.len()) / piece.len();
    let times = random.usize(0..=room);
    input.splice(range.end..range.end, piece.repeat(times));
}

fn word(random: &mut fastrand::Rng, input: &mut Vec<u8>, at: usize, words: &[&str]) {
    if let Some(word) = random.choice(words) {
        if random.bool() {
            overwrite(input, at, word.as_bytes());
        } else {
            input.splice(at..at, word.bytes());
        }
    }
}

fn number(random: &mut fastrand::Rng) -> Vec<u8> {
    let number = NUMBERS[random.usize(..NUMBERS.len())];
    let bytes = [1, 2, 3, 4, 8][random.usize(..5)];
    let mut number = number.to_le_bytes()[..bytes].to_vec();
    if random.bool() {
        number.reverse();
    }
    number
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (byte, new) in input.iter_mut().skip(at).zip(bytes) {
        *byte = *new;
    }
}
