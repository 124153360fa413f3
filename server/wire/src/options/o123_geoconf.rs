//! Options 123 and 144, GeoConf and GeoLoc (RFC 6225 section 2.2): coordinates.
//!
//! **Absent on purpose.** An altitude that is not known is written in one way only, though any octets may
//! stand there (section 2.4.1).
//!
//! As text: latitude and longitude in degrees, altitude in metres (`m`) or floors (`f`) or `-` if it is
//! not known, each but that with the bits of its resolution (123) or the code of its uncertainty (144)
//! after a slash, and the datum: `38.89868/18 -77.03723/18 15m/17 wgs84`.

use super::structure::{Structure, exactly};

/// Option 123: resolutions, version 0.
pub(crate) static GEOCONF: Structure = Structure {
    wanted: WANTED,
    is_list: false,
    read: |value| read(value, RESOLUTION),
    write: |_, text, out| write(text, RESOLUTION, out),
};

/// Option 144: uncertainties, version 1.
pub(crate) static GEOLOC: Structure = Structure {
    wanted: WANTED,
    is_list: false,
    read: |value| read(value, UNCERTAINTY),
    write: |_, text, out| write(text, UNCERTAINTY, out),
};

const WANTED: &str = "a place such as `38.89868/18 -77.03723/18 15m/17 wgs84`";

/// What tells the two options apart.
#[derive(Clone, Copy)]
struct Version {
    /// The field Ver (section 2.2.2). Option 123 has reserved zeros there.
    number: u128,
    /// What the precision of the altitude says when that is not known: with resolutions the most there is
    /// (section 2.4.4), with uncertainties 0 (section 2.4.5).
    unknown_altitude: u32,
}

const RESOLUTION: Version = Version { number: 0, unknown_altitude: ALTITUDE.precision_max };
const UNCERTAINTY: Version = Version { number: 1, unknown_altitude: 0 };

/// A signed fixed-point number with the bits that count before it.
struct Field {
    bits: u32,
    fraction_bits: u32,
    /// The most that the field before it may say.
    precision_max: u32,
}

const DEGREES: Field = Field { bits: 34, fraction_bits: 25, precision_max: 34 };
const ALTITUDE: Field = Field { bits: 30, fraction_bits: 8, precision_max: 30 };
const PRECISION_BITS: u32 = 6;

const LATITUDE_MAX: f64 = 90.0;
const LONGITUDE_MAX: f64 = 180.0;
/// What 22 bits before the point hold.
const ALTITUDE_MAX: f64 = 2_097_151.0;

/// Altitude types (RFC 6225 section 2.4.4), by their number.
const UNITS: [&str; 3] = ["-", "m", "f"];
/// Datums (RFC 6225 section 2.5), from number 1.
const DATUMS: [&str; 3] = ["wgs84", "nad83-navd88", "nad83-mllw"];

/// Takes fields from the front of 128 bits.
struct Bits {
    value: u128,
    left: u32,
}

impl Bits {
    /// At most 34 of them.
    fn take(&mut self, bits: u32) -> u64 {
        self.left -= bits;
        (self.value >> self.left) as u64 & ((1 << bits) - 1)
    }

    fn field(&mut self, field: &Field) -> Option<(f64, u64)> {
        let precision = self.take(PRECISION_BITS);
        let raw = self.take(field.bits) as i64;
        let signed = if raw >> (field.bits - 1) == 1 { raw - (1 << field.bits) } else { raw };
        // 34 bits are exact in a float of 53.
        let value = signed as f64 / f64::from(1u32 << field.fraction_bits);
        (precision <= u64::from(field.precision_max)).then_some((value, precision))
    }
}

fn read(value: &[u8], version: Version) -> Option<Vec<String>> {
    let mut bits = Bits { value: u128::from_be_bytes(value.try_into().ok()?), left: 128 };
    let (latitude, latitude_bits) = bits.field(&DEGREES)?;
    let (longitude, longitude_bits) = bits.field(&DEGREES)?;
    let unit = UNITS.get(bits.take(4) as usize)?;
    let (altitude, altitude_bits) = bits.field(&ALTITUDE)?;
    if u128::from(bits.take(2)) != version.number || bits.take(3) != 0 {
        return None;
    }
    let datum = DATUMS.get((bits.take(3) as usize).checked_sub(1)?)?;
    let altitude = match *unit {
        "-" if altitude != 0.0 || altitude_bits != u64::from(version.unknown_altitude) => {
            return None;
        }
        "-" => "-".to_owned(),
        unit => format!("{altitude}{unit}/{altitude_bits}"),
    };
    Some(vec![format!(
        "{latitude}/{latitude_bits} {longitude}/{longitude_bits} {altitude} {datum}"
    )])
}

fn write(text: &str, version: Version, out: &mut Vec<u8>) -> Option<()> {
    let [latitude, longitude, altitude, datum] = exactly::<4>(text)?;
    let mut value = 0;
    put(&mut value, latitude, &DEGREES, LATITUDE_MAX)?;
    put(&mut value, longitude, &DEGREES, LONGITUDE_MAX)?;
    if altitude == "-" {
        value = value << (4 + PRECISION_BITS) | u128::from(version.unknown_altitude);
        value <<= ALTITUDE.bits;
    } else {
        let (number, precision) = altitude.split_once('/')?;
        let unit = UNITS.iter().skip(1).position(|unit| number.ends_with(unit))? + 1;
        value = value << 4 | unit as u128;
        // The unit is one octet.
        let number = format!("{}/{precision}", &number[..number.len() - 1]);
        put(&mut value, &number, &ALTITUDE, ALTITUDE_MAX)?;
    }
    let datum = DATUMS.iter().position(|name| *name == datum)? + 1;
    value = value << 8 | version.number << 6 | datum as u128;
    out.extend(value.to_be_bytes());
    Some(())
}

/// Appends a number with its precision, `38.89868/18`.
fn put(value: &mut u128, text: &str, field: &Field, most: f64) -> Option<()> {
    let (number, precision) = text.split_once('/')?;
    let precision: u32 = precision.parse().ok().filter(|bits| *bits <= field.precision_max)?;
    let number: f64 = number.parse().ok().filter(|number: &f64| number.abs() <= most)?;
    let scaled = (number * f64::from(1u32 << field.fraction_bits)).round() as i64;
    let mask = (1u64 << field.bits) - 1;
    *value = *value << PRECISION_BITS | u128::from(precision);
    *value = *value << field.bits | u128::from(scaled as u64 & mask);
    Some(())
}
