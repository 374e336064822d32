//! A kept connection after a pause: what is left of it when it is used again.
//!
//! A function keeps its connections while it is frozen. Meanwhile its peer closes them, and the NAT gateway
//! between the two forgets them. The pool of the function need not notice: its clock may have stood still.

use std::time::Duration;

/// A load balancer closes a connection that was idle for this long, unless it is set up otherwise.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html>
pub const LOAD_BALANCER_IDLE: Duration = Duration::from_mins(1);

/// A NAT gateway forgets a connection that was idle for this long, and tells neither side.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html>
pub const NAT_IDLE: Duration = Duration::from_secs(350);

/// What a NAT gateway does with a packet of a connection that it has forgotten. The documentation says RST;
/// hanging writes are reported too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Forgotten {
    /// It answers with a reset.
    #[default]
    Reset,
    /// It drops the packet.
    Dropped,
}

/// Who is on the way, and how long each keeps an idle connection.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// The peer's limit; none where it closes nothing.
    pub peer: Option<Duration>,
    /// The NAT gateway's limit; none for a function outside of a VPC.
    pub nat: Option<Duration>,
    /// An open rule.
    pub forgotten: Forgotten,
}

impl Default for Path {
    /// From a function in a VPC to a load balancer.
    fn default() -> Self {
        let forgotten = Forgotten::default();
        Self { peer: Some(LOAD_BALANCER_IDLE), nat: Some(NAT_IDLE), forgotten }
    }
}

/// What happens to a request on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It is answered.
    Works,
    /// The connection breaks before an answer. The request had no effect.
    Reset,
    /// Nothing comes, and the connection stays open. The request had no effect.
    Hangs,
}

impl Path {
    /// What happens to a request on a connection that was idle for this long.
    pub fn used_after(&self, idle: Duration) -> Use {
        let over = |limit: Option<Duration>| limit.is_some_and(|limit| idle >= limit);
        match (over(self.nat), over(self.peer)) {
            // Whether the peer would still know it is not found out.
            (true, _) if self.forgotten == Forgotten::Dropped => Use::Hangs,
            (true, _) | (false, true) => Use::Reset,
            (false, false) => Use::Works,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    // application-load-balancers, "Connection idle timeout": 60 seconds.
    #[test]
    fn a_peer_closes_a_connection_that_was_idle_for_long() {
        let path = Path { nat: None, ..Path::default() };
        assert_eq!(path.used_after(LOAD_BALANCER_IDLE.saturating_sub(MOMENT)), Use::Works);
        assert_eq!(path.used_after(LOAD_BALANCER_IDLE), Use::Reset);
        let patient = Path { peer: None, nat: None, ..Path::default() };
        assert_eq!(patient.used_after(Duration::from_hours(9)), Use::Works);
    }

    // nat-gateway-troubleshooting, "Internet connection drops after 350 seconds": a RST packet; reported: nothing.
    #[test]
    fn what_a_nat_gateway_does_with_a_connection_that_it_has_forgotten_is_an_option() {
        for (forgotten, found) in [(Forgotten::Reset, Use::Reset), (Forgotten::Dropped, Use::Hangs)]
        {
            let path = Path { peer: None, forgotten, ..Path::default() };
            assert_eq!(
                path.used_after(NAT_IDLE.saturating_sub(MOMENT)),
                Use::Works,
                "{forgotten:?}"
            );
            assert_eq!(path.used_after(NAT_IDLE), found);
            let with_peer = Path { forgotten, ..Path::default() };
            assert_eq!(
                with_peer.used_after(NAT_IDLE),
                found,
                "the NAT gateway is nearer than the peer"
            );
        }
    }
}
