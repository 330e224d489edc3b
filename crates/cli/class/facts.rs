//! What does not change while a class lasts: its name, its code, where it can be reached, and what
//! it is measured by.

use std::net::{IpAddr, SocketAddr};

use qrcode::{Color, EcLevel, QrCode};
use serde::Serialize;

/// See the [module](self) page.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) code: String,
    /// For devices, the likeliest first.
    pub(crate) urls: Vec<String>,
    /// For miners; none without `--listen`.
    pub(crate) stratum: Vec<SocketAddr>,
    /// Seconds between two blocks.
    pub(crate) pace: f64,
    pub(crate) minutes: Option<f64>,
    pub(crate) blocks_goal: Option<u64>,
    pub(crate) reference: Reference,
    /// Of the link, row by row: `1` is dark.
    pub(crate) qr: Vec<String>,
}

/// A machine that the class is compared with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) hps: f64,
}

/// The link for devices: its fragment is the code, and browsers send no fragment.
pub(crate) fn link(url: &str, code: &str) -> String {
    format!("{url}#{code}")
}

/// The QR code of a text that has room in one, without its white border.
pub(crate) fn qr(text: &str) -> Vec<String> {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return Vec::new();
    };
    let dark = |color: &Color| if *color == Color::Dark { '1' } else { '0' };
    let colors = code.to_colors();
    colors.chunks(code.width()).map(|row| row.iter().map(dark).collect()).collect()
}

/// The code for a terminal: two modules a character, with the light border that readers need. With
/// colours it is dark on light whatever the terminal's own are; without, the light modules are
/// drawn, as most terminals are dark.
pub(crate) fn qr_lines(rows: &[String], is_coloured: bool) -> Vec<String> {
    const BORDER: usize = 4;
    const BLACK_ON_WHITE: &str = "\x1b[30;107m";
    const PLAIN: &str = "\x1b[0m";
    let width = rows.first().map_or(0, |row| row.len()) + 2 * BORDER;
    let is_drawn = |x: usize, y: usize| {
        let row = y.checked_sub(BORDER).and_then(|y| rows.get(y));
        let module = row.zip(x.checked_sub(BORDER)).and_then(|(row, x)| row.as_bytes().get(x));
        (module == Some(&b'1')) == is_coloured
    };
    let line = |y: usize| -> String {
        let blocks = (0..width).map(|x| match (is_drawn(x, y), is_drawn(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        });
        let blocks: String = blocks.collect();
        if is_coloured { format!("{BLACK_ON_WHITE}{blocks}{PLAIN}") } else { blocks }
    };
    let height = if rows.is_empty() { 0 } else { rows.len() + 2 * BORDER };
    (0..height).step_by(2).map(line).collect()
}

/// The addresses at which others can reach a server that listens there, the likeliest first. One
/// that listens on every address of this machine has all of them.
pub(crate) fn addresses(listens: SocketAddr) -> Vec<SocketAddr> {
    if !listens.ip().is_unspecified() {
        return vec![listens];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut found: Vec<_> = interfaces
        .into_iter()
        .map(|interface| (rank(&interface.name, interface.ip()), interface.ip()))
        .filter(|(_, ip)| !ip.is_loopback() && ip.is_ipv4())
        .collect();
    found.sort();
    let mut ips: Vec<IpAddr> = found.into_iter().map(|(_, ip)| ip).collect();
    if ips.is_empty() {
        // No network: this machine alone.
        ips.push(IpAddr::from([127, 0, 0, 1]));
    }
    ips.into_iter().map(|ip| SocketAddr::new(ip, listens.port())).collect()
}

/// How likely a class is in the network of this interface, the likeliest lowest: those of
/// containers, virtual machines and tunnels lead nowhere.
fn rank(interface: &str, ip: IpAddr) -> u8 {
    const VIRTUAL: [&str; 9] =
        ["docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "tun", "tap", "wg"];
    let is_virtual = VIRTUAL.iter().any(|prefix| interface.starts_with(prefix));
    let is_private = matches!(ip, IpAddr::V4(ip) if ip.is_private());
    match (is_virtual, is_private) {
        (false, true) => 0,
        (false, false) => 1,
        (true, _) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_has_its_three_eyes() {
        let rows = qr("http://192.168.178.123:8080/#123456");
        assert_eq!(rows.len(), 29, "version 3");
        assert!(rows.iter().all(|row| row.len() == rows.len()));
        for (x, y) in [(0, 0), (22, 0), (0, 22)] {
            assert_eq!(&rows[y][x..x + 7], "1111111");
            assert_eq!(&rows[y + 1][x..x + 7], "1000001");
            assert_eq!(&rows[y + 3][x..x + 7], "1011101");
        }
        let plain = qr_lines(&rows, false);
        assert_eq!(plain[0], "█".repeat(37), "the border is light");
        let lines = qr_lines(&rows, true);
        assert_eq!((lines.len(), plain.len()), (19, 19));
        assert!(
            lines.iter().all(|line| line.chars().filter(|c| " █▀▄".contains(*c)).count() == 37)
        );
        assert!(qr(&"x".repeat(5000)).is_empty() && qr_lines(&[], true).is_empty());
    }

    #[test]
    fn addresses_of_containers_come_last() {
        let ip = |text: &str| text.parse().unwrap();
        let mut ranks = [
            rank("docker0", ip("172.17.0.1")),
            rank("eth0", ip("203.0.113.7")),
            rank("wlan0", ip("192.168.1.5")),
        ];
        assert_eq!(ranks, [2, 1, 0]);
        ranks.sort_unstable();
        let one: SocketAddr = "192.168.1.5:80".parse().unwrap();
        assert_eq!(addresses(one), [one]);
        let all = addresses("0.0.0.0:80".parse().unwrap());
        assert!(all.iter().all(|address| !address.ip().is_unspecified() && address.port() == 80));
    }
}
