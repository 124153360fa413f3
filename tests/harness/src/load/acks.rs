//! The ACK file: what clients were promised, on record outside of every server.
//!
//! One line an event, comma-separated, in the order of arrival; [`HEADER`] names the columns.
//! A line is complete or absent: the writer flushes whole lines, and the reader refuses others.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::packet::{Style, circuit_id_of, client_id_of, mac_of, number_of, remote_id_of};

const HEADER: &str = "monotonic_us,wall_us,kind,address,mac,client_id,lease_seconds,server,\
                      circuit_id,remote_id,option_82";

/// What a line of the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckKind {
    /// A DHCPACK that ended DISCOVER, OFFER, REQUEST.
    Dora,
    /// A DHCPACK that extended a lease.
    Renew,
    /// A DHCPACK that no exchange waited for: its client had one already, or had begun anew. It binds
    /// its server all the same.
    Late,
    /// A DHCPNAK to a client that renewed in time: no promise, but evidence.
    Refused,
    /// A DHCPRELEASE was sent (nothing answers it, so it may have been lost).
    Release,
}

impl AckKind {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            AckKind::Dora => "dora",
            AckKind::Renew => "renew",
            AckKind::Late => "late",
            AckKind::Refused => "refused",
            AckKind::Release => "release",
        }
    }
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Since the generator's start.
    pub monotonic_us: u64,
    /// Since 1970, by the generator's wall clock.
    pub wall_us: u64,
    /// What happened.
    pub kind: AckKind,
    /// The address that was promised or released.
    pub address: Ipv4Addr,
    /// The client's hardware address.
    pub mac: [u8; 6],
    /// The client identifier it sent, if it did.
    pub client_id: Option<Vec<u8>>,
    /// The promised lease time; 0 for a release.
    pub lease_seconds: u32,
    /// The server identifier of the reply.
    pub server: Ipv4Addr,
    /// The circuit identifier that the relay agent sent, if it sent option 82.
    pub circuit_id: Option<Vec<u8>>,
    /// The remote identifier that the relay agent sent, if it sent option 82.
    pub remote_id: Option<Vec<u8>>,
    /// `Some(true)`: option 82 was echoed octet for octet; `None`: it was not sent.
    pub option_82_echoed: Option<bool>,
}

impl Ack {
    /// The client's number, if its hardware address is a simulated client's.
    pub fn client(&self) -> Option<u32> {
        number_of(self.mac)
    }

    /// When the promise ends: seconds since 1970, by the generator's clock.
    pub fn expires(&self) -> u64 {
        self.wall_us / 1_000_000 + u64::from(self.lease_seconds)
    }
}

/// Reads an ACK file.
///
/// # Errors
/// The file cannot be read, or a line is not complete: its number is named.
pub fn read_acks(path: &Path) -> Result<Vec<Ack>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut acks = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        if number == 0 {
            if line != HEADER {
                bail!("{} is not an ACK file: its first line is not the header", path.display());
            }
            continue;
        }
        let ack = parse_line(&line)
            .with_context(|| format!("{}:{}: not an ACK line", path.display(), number + 1))?;
        acks.push(ack);
    }
    Ok(acks)
}

/// Reads an ACK file while it grows.
#[derive(Clone)]
pub struct AckTail {
    path: PathBuf,
    offset: u64,
}

impl AckTail {
    /// From the file's present end, or from its beginning if it is not there yet.
    pub fn at_end(path: &Path) -> Self {
        let offset = std::fs::metadata(path).map_or(0, |file| file.len());
        AckTail { path: path.to_owned(), offset }
    }

    /// The events that came since the last call.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is damaged.
    pub fn more(&mut self) -> Result<Vec<Ack>> {
        let shown = self.path.display().to_string();
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.with_context(|| format!("cannot read {shown}"))?,
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("cannot read {shown}"))?;
        // What stands behind the last line feed is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        self.offset += whole.len() as u64;
        whole.lines().filter(|line| *line != HEADER).map(parse_line).collect()
    }
}

/// The longest time without any ACK among the silences that begin within `around` of `at_wall_us`
/// (on either side): what clients saw of a fault at that moment. `None` if no ACK came after.
pub fn service_gap(acks: &[Ack], at_wall_us: u64, around: Duration) -> Option<Duration> {
    let around = around.as_micros() as u64;
    let near = at_wall_us.saturating_sub(around)..=at_wall_us + around;
    let served: Vec<&Ack> = acks
        .iter()
        .filter(|ack| matches!(ack.kind, AckKind::Dora | AckKind::Renew | AckKind::Release))
        .collect();
    served
        .windows(2)
        .filter(|pair| near.contains(&pair[0].wall_us))
        .map(|pair| pair[1].monotonic_us.saturating_sub(pair[0].monotonic_us))
        .max()
        .map(Duration::from_micros)
}

/// Appends events to an ACK file; owned by the generator.
pub(super) struct AckWriter {
    file: BufWriter<File>,
    style: Style,
    line: Vec<u8>,
    failure: Option<io::Error>,
}

/// What the generator knows of an event beyond its client's number.
pub(super) struct Event {
    pub(super) monotonic_us: u64,
    pub(super) wall_us: u64,
    pub(super) kind: AckKind,
    pub(super) client: u32,
    pub(super) address: Ipv4Addr,
    pub(super) lease_seconds: u32,
    pub(super) server: Ipv4Addr,
    pub(super) echoed: bool,
}

impl AckWriter {
    pub(super) fn create(path: &Path, style: Style) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        writeln!(file, "{HEADER}").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(AckWriter { file, style, line: Vec::with_capacity(256), failure: None })
    }

    /// Appends a line; a failure is told by the next [`AckWriter::flush`].
    ///
    /// Formats by hand: at 200,000 events a second the formatter would be the larger half.
    pub(super) fn write(&mut self, event: &Event) {
        let line = &mut self.line;
        line.clear();
        decimal(line, event.monotonic_us);
        line.push(b',');
        decimal(line, event.wall_us);
        line.push(b',');
        line.extend_from_slice(event.kind.name().as_bytes());
        line.push(b',');
        dotted(line, event.address);
        line.push(b',');
        for (at, octet) in mac_of(event.client).into_iter().enumerate() {
            if at > 0 {
                line.push(b':');
            }
            hex(line, &[octet]);
        }
        line.push(b',');
        if self.style.client_id {
            hex(line, &client_id_of(event.client));
        }
        line.push(b',');
        decimal(line, u64::from(event.lease_seconds));
        line.push(b',');
        dotted(line, event.server);
        line.push(b',');
        if self.style.option_82 {
            hex(line, &circuit_id_of(event.client));
            line.push(b',');
            hex(line, &remote_id_of(event.client));
            line.extend_from_slice(if event.echoed { b",echoed\n" } else { b",missing\n" });
        } else {
            line.extend_from_slice(b",,\n");
        }
        if let Err(error) = self.file.write_all(line) {
            self.failure = Some(error);
        }
    }

    /// Hands what is buffered to the kernel, where the end of this process cannot lose it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.file.flush(),
        }
    }
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn dotted(out: &mut Vec<u8>, address: Ipv4Addr) {
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        decimal(out, u64::from(octet));
    }
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn parse_line(line: &str) -> Result<Ack> {
    let columns: Vec<&str> = line.split(',').collect();
    let [monotonic, wall, kind, address, mac, client_id, lease, server, circuit, remote, echoed] =
        columns[..]
    else {
        bail!("{} columns, not 11", columns.len());
    };
    let kind = match kind {
        "dora" => AckKind::Dora,
        "renew" => AckKind::Renew,
        "late" => AckKind::Late,
        "refused" => AckKind::Refused,
        "release" => AckKind::Release,
        other => bail!("no kind {other:?}"),
    };
    let option_82_echoed = match echoed {
        "" => None,
        "echoed" => Some(true),
        "missing" => Some(false),
        other => bail!("option_82 is {other:?}"),
    };
    let mac: [u8; 6] = parse_hex(&mac.replace(':', ""))?
        .and_then(|octets| octets.try_into().ok())
        .context("a hardware address has six octets")?;
    Ok(Ack {
        monotonic_us: monotonic.parse().context("monotonic_us")?,
        wall_us: wall.parse().context("wall_us")?,
        kind,
        address: address.parse().context("address")?,
        mac,
        client_id: parse_hex(client_id)?,
        lease_seconds: lease.parse().context("lease_seconds")?,
        server: server.parse().context("server")?,
        circuit_id: parse_hex(circuit)?,
        remote_id: parse_hex(remote)?,
        option_82_echoed,
    })
}

fn parse_hex(text: &str) -> Result<Option<Vec<u8>>> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.is_ascii() || text.len() % 2 == 1 {
        bail!("{text:?} is not hexadecimal");
    }
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).context("not hexadecimal"))
        .collect::<Result<Vec<u8>>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { client_id: true, option_82: true, clients_per_relay: None };
    const NOTHING: Style = Style { client_id: false, option_82: false, clients_per_relay: None };

    fn event(client: u32) -> Event {
        Event {
            monotonic_us: 1_000_000,
            wall_us: 1_795_300_000_000_000,
            kind: AckKind::Dora,
            client,
            address: Ipv4Addr::new(10, 16, 1, 255),
            lease_seconds: 7200,
            server: Ipv4Addr::new(192, 168, 77, 1),
            echoed: true,
        }
    }

    fn round_trip(style: Style, event: &Event) -> Ack {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("acks");
        let mut writer = AckWriter::create(&path, style).expect("created");
        writer.write(event);
        writer.flush().expect("flushed");
        read_acks(&path).expect("read").remove(0)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let ack = round_trip(STYLE, &event(0xfeed_0001));
        assert_eq!(ack.client(), Some(0xfeed_0001));
        assert_eq!(ack.client_id.as_deref(), Some(&client_id_of(0xfeed_0001)[..]));
        assert_eq!(ack.circuit_id.as_deref(), Some(&circuit_id_of(0xfeed_0001)[..]));
        assert_eq!(ack.remote_id.as_deref(), Some(&remote_id_of(0xfeed_0001)[..]));
        assert_eq!(ack.option_82_echoed, Some(true));
        assert_eq!(ack.expires(), 1_795_300_000 + 7200);
        assert_eq!(ack.address, Ipv4Addr::new(10, 16, 1, 255));
    }

    #[test]
    fn what_was_not_sent_is_absent() {
        let ack = round_trip(NOTHING, &event(5));
        assert_eq!((ack.client_id, ack.circuit_id, ack.option_82_echoed), (None, None, None));
    }

    #[test]
    fn a_growing_file_is_read_line_by_whole_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("acks");
        let mut tail = AckTail::at_end(&path);
        let counted = |tail: &mut AckTail| tail.more().expect("read").len();
        assert_eq!(counted(&mut tail), 0, "not there yet");
        let mut writer = AckWriter::create(&path, STYLE).expect("created");
        writer.write(&event(1));
        writer.flush().expect("flushed");
        assert_eq!(counted(&mut tail), 1);
        let mut file = File::options().append(true).open(&path).expect("opened");
        let line = std::fs::read_to_string(&path).expect("read").lines().last().map(str::to_owned);
        let line = line.expect("a line");
        write!(file, "{}", &line[..20]).expect("written");
        assert_eq!(counted(&mut tail), 0, "half a line");
        writeln!(file, "{}", &line[20..]).expect("written");
        assert_eq!(counted(&mut tail), 1);
    }

    #[test]
    fn a_torn_line_is_refused_with_its_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("acks");
        std::fs::write(&path, format!("{HEADER}\n1,2,dora,10.0.0.1\n")).expect("written");
        let error = format!("{:#}", read_acks(&path).expect_err("refused"));
        assert!(error.contains(":2: not an ACK line"), "{error}");
    }

    #[test]
    fn the_gap_is_the_longest_silence_that_begins_about_the_fault() {
        let at = |wall_us| Ack { monotonic_us: wall_us, wall_us, ..round_trip(NOTHING, &event(1)) };
        // A silence of 5 s long before the fault, one of 0.4 s that begins 20 ms after it.
        let acks: Vec<Ack> = [0, 5_000_000, 9_990_000, 10_020_000, 10_420_000, 10_430_000]
            .into_iter()
            .map(at)
            .collect();
        let gap = service_gap(&acks, 10_000_000, Duration::from_secs(1));
        assert_eq!(gap, Some(Duration::from_micros(400_000)));
        assert_eq!(service_gap(&acks, 99_000_000, Duration::from_secs(1)), None);
    }
}
