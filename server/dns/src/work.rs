//! Everything that one entry asks for, from its beginning.

use crate::exchange::{ExchangeError, Fence, exchange};
use crate::limits;
use crate::procedure::{Next, Request};
use domain::base::iana::Rcode;
use replication_ledger::{
    ClientNaming, DnsSettings, DnsZone, NameEntry, NameVerdict, Octets, VpnAddress, VpnNumber,
};

/// What tells a zone from every other: two VPNs may each have one of the same name.
pub(crate) type ZoneKey = (VpnNumber, Octets);

/// The key of a zone.
pub(crate) fn key_of(zone: &DnsZone) -> ZoneKey {
    (zone.vpn, zone.name.clone())
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    /// This can be told to the ledger. The text says why, where something is left undone.
    Concluded(NameVerdict, String),
    /// No server of this zone answers: nothing is concluded.
    Away(ZoneKey),
    /// This member does not lead any more: whoever does begins anew.
    Fenced,
}

/// Why an entry is not as it should be.
enum Trouble {
    Taken,
    Denied(String),
    Away(ZoneKey),
    Fenced,
}

/// Removes what is to go and adds what is wanted. What can not be removed does not keep the rest from being done.
pub(crate) async fn work(entry: &NameEntry, settings: &DnsSettings, fence: &impl Fence) -> Worked {
    let doing = Doing { address: entry.address, settings, fence };
    let mut denied = None;
    for old in entry.to_remove() {
        match doing.remove(old).await {
            Ok(()) => {}
            Err(Trouble::Denied(reason)) => denied = Some(reason),
            // Nobody is asked for a name that is to go.
            Err(Trouble::Taken) => {}
            Err(Trouble::Away(zone)) => return Worked::Away(zone),
            Err(Trouble::Fenced) => return Worked::Fenced,
        }
    }
    let added = match entry.to_add() {
        Some(wanted) => doing.add(wanted).await,
        None => Ok(true),
    };
    let zoneless = || Worked::Concluded(NameVerdict::NoZone, "no zone is configured".to_owned());
    match (added, denied) {
        (Err(Trouble::Away(zone)), _) => Worked::Away(zone),
        (Err(Trouble::Fenced), _) => Worked::Fenced,
        (Err(Trouble::Denied(reason)), _) | (_, Some(reason)) => {
            Worked::Concluded(NameVerdict::Denied, reason)
        }
        (Err(Trouble::Taken), None) => {
            let reason = "the name is another client's, or was not added by this cluster";
            Worked::Concluded(NameVerdict::Conflict, reason.to_owned())
        }
        (Ok(false), None) => zoneless(),
        (Ok(true), None) => Worked::Concluded(NameVerdict::Done, String::new()),
    }
}

/// The zones that an entry needs now.
pub(crate) fn zones<'s>(entry: &NameEntry, settings: &'s DnsSettings) -> Vec<&'s DnsZone> {
    let namings = entry.to_remove().chain(entry.to_add());
    let needed = namings.flat_map(|naming| {
        let naming = &naming.naming;
        let forward =
            settings.forward_zone(entry.address.vpn, &naming.name).filter(|_| naming.forward);
        let reverse = settings.reverse_zone(entry.address).filter(|_| naming.reverse);
        [forward, reverse]
    });
    needed.flatten().collect()
}

struct Doing<'a, F> {
    address: VpnAddress,
    settings: &'a DnsSettings,
    fence: &'a F,
}

impl<F: Fence> Doing<'_, F> {
    /// What lies in no zone any more is not this cluster's business any more.
    async fn remove(&self, old: &ClientNaming) -> Result<(), Trouble> {
        if old.naming.forward
            && let Some(zone) = self.settings.forward_zone(self.address.vpn, &old.naming.name)
        {
            self.run(Request::RemoveAddress, zone, old).await?;
        }
        if old.naming.reverse
            && let Some(zone) = self.settings.reverse_zone(self.address)
        {
            self.run(Request::RemovePointer, zone, old).await?;
        }
        Ok(())
    }

    /// False if a zone is missing.
    async fn add(&self, wanted: &ClientNaming) -> Result<bool, Trouble> {
        let mut complete = true;
        if wanted.naming.forward {
            match self.settings.forward_zone(self.address.vpn, &wanted.naming.name) {
                Some(zone) => self.run(Request::Claim, zone, wanted).await?,
                None => complete = false,
            }
        }
        // Only now: an address must not lead to a name that is somebody else's.
        if wanted.naming.reverse {
            match self.settings.reverse_zone(self.address) {
                Some(zone) => self.run(Request::SetPointer, zone, wanted).await?,
                None => complete = false,
            }
        }
        Ok(complete)
    }

    async fn run(
        &self,
        first: Request,
        zone: &DnsZone,
        naming: &ClientNaming,
    ) -> Result<(), Trouble> {
        let mut request = first;
        for _ in 0..limits::MESSAGES_MAX {
            let update = request.update(&zone.name, naming, self.address.ip);
            let answer = exchange(self.settings, zone, &update, self.fence).await;
            let answer = answer.map_err(|error| match error {
                ExchangeError::Away => Trouble::Away(key_of(zone)),
                ExchangeError::Fenced => Trouble::Fenced,
                refused => Trouble::Denied(refused.to_string()),
            })?;
            match request.next(answer) {
                Next::Ask(next) => request = next,
                Next::Done => return Ok(()),
                Next::Taken => return Err(Trouble::Taken),
                Next::Denied => return Err(denied(answer)),
            }
        }
        Err(Trouble::Denied("the name comes and goes".to_owned()))
    }
}

fn denied(answer: Rcode) -> Trouble {
    Trouble::Denied(format!("the server answers {answer}"))
}
