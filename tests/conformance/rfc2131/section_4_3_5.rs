//! RFC 2131 §4.3.5: DHCPINFORM.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::packet::{kind, option};
use tests::requestor::{Key, query};
use tests::wait::PATIENCE;

use crate::fixture::{client, first_link, is};

// proves [H-55]
#[test]
fn an_inform_is_answered_with_parameters_and_without_any_lease() -> Result<()> {
    let (relay, address) = (first_link()?, Ipv4Addr::new(10, 16, 222, 1));
    let ack = relay.exchange(&client().inform(address), PATIENCE)?;
    is(&ack, kind::ACK)?;
    ensure!(ack.option(option::ROUTERS) == Some(vec![10, 16, 0, 1]), "{ack:?}");
    ensure!(ack.yiaddr.is_unspecified(), "yiaddr {}", ack.yiaddr);
    for code in [option::LEASE_TIME, option::T1, option::T2] {
        ensure!(ack.option(code).is_none(), "option {code} is a lease's");
    }
    is(&relay.exchange(&query(&Key::Ip(address)), PATIENCE)?, kind::LEASEUNASSIGNED)
}
