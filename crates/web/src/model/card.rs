//! One card of the room: what is shown of a participant, and in which order.

use openstudio_session::mesh::{ConnectionState, LinkSnapshot, Trouble};
use openstudio_session::wire::{Participant, Strip};
use openstudio_units::{PeerId, Role};

/// How many colours there are to tell participants apart.
const HUES: u8 = 8;

/// What is known about the audio connection to one participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The public state.
    pub(crate) state: ConnectionState,
    /// Whether audio could flow at some time before.
    pub(crate) was_connected: bool,
    /// What is wrong, if anything is.
    pub(crate) trouble: Option<Trouble>,
}

impl Default for Link {
    fn default() -> Self {
        Self { state: ConnectionState::Waiting, was_connected: false, trouble: None }
    }
}

impl From<LinkSnapshot> for Link {
    fn from(snapshot: LinkSnapshot) -> Self {
        let LinkSnapshot { state, ever_connected: was_connected, trouble, .. } = snapshot;
        Self { state, was_connected, trouble }
    }
}

/// The connection as it is named on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Audio can flow.
    Connected,
    /// The first connection is being made.
    Connecting,
    /// Its turn has not come.
    Waiting,
    /// It stood before, and is being made again.
    Reconnecting,
    /// The other side is away.
    Disconnected,
    /// All attempts failed.
    Failed,
}

impl Status {
    /// Derives the status from the link, and from whether the other side is there.
    pub(crate) fn of(link: &Link, present: bool) -> Self {
        match link.state {
            ConnectionState::Connected => Self::Connected,
            _ if !present => Self::Disconnected,
            ConnectionState::FailedPermanent => Self::Failed,
            ConnectionState::Waiting => Self::Waiting,
            ConnectionState::Connecting | ConnectionState::Failed if link.was_connected => {
                Self::Reconnecting
            }
            ConnectionState::Connecting | ConnectionState::Failed => Self::Connecting,
            ConnectionState::Disconnected if link.was_connected => Self::Reconnecting,
            ConnectionState::Disconnected => Self::Disconnected,
        }
    }

    /// Returns the word on the card.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Connecting => "Connecting…",
            Self::Waiting => "Waiting…",
            Self::Reconnecting => "Reconnecting…",
            Self::Disconnected => "Disconnected",
            Self::Failed => "Failed",
        }
    }

    /// Returns the style class of the card.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Connected => "is-connected",
            Self::Connecting | Self::Waiting => "is-pending",
            Self::Reconnecting => "is-troubled",
            Self::Disconnected => "is-away",
            Self::Failed => "is-failed",
        }
    }
}

/// The microphone as it is named on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MicrophoneMark {
    /// It is on; nothing is said.
    Live,
    /// Its owner muted it.
    Muted,
    /// A host muted it.
    Held,
    /// Its owner coughs.
    Coughing,
    /// There is none.
    Absent,
}

impl MicrophoneMark {
    fn of(participant: &Participant) -> Self {
        if !participant.microphone {
            Self::Absent
        } else if participant.strip.muted {
            Self::Held
        } else if participant.muted {
            Self::Muted
        } else {
            Self::Live
        }
    }

    /// Returns the words on the card, if there are any.
    pub(crate) fn label(self) -> Option<&'static str> {
        match self {
            Self::Live => None,
            Self::Muted => Some("Muted"),
            Self::Held => Some("Muted by a host"),
            Self::Coughing => Some("Cough"),
            Self::Absent => Some("No microphone"),
        }
    }
}

/// Everything that one card shows, but for the level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    /// Whose.
    pub(crate) peer: PeerId,
    /// What they are called.
    pub(crate) name: String,
    /// One or two letters of the name.
    pub(crate) initials: String,
    /// Which colour stands for them.
    pub(crate) hue: u8,
    /// Whether it is the person in front of this screen.
    pub(crate) me: bool,
    /// What they may do.
    pub(crate) role: Role,
    /// The connection; none to oneself.
    pub(crate) status: Option<Status>,
    /// Why the connection failed.
    pub(crate) reason: Option<String>,
    /// Whether audio flows although the other side has lost the studio server.
    pub(crate) signalling_away: bool,
    /// Their microphone.
    pub(crate) microphone: MicrophoneMark,
    /// How the desk treats them.
    pub(crate) strip: Strip,
    /// Whether this person hears them alone.
    pub(crate) solo: bool,
}

impl Card {
    /// Makes the card of a participant; `link` is none for oneself.
    pub(crate) fn new(participant: &Participant, link: Option<&Link>) -> Self {
        let name = name_of(participant);
        let status = link.map(|link| Status::of(link, participant.present));
        let reason = link
            .filter(|_| status == Some(Status::Failed))
            .and_then(|link| link.trouble.as_ref())
            .map(ToString::to_string);
        Self {
            peer: participant.peer_id,
            initials: initials(&name),
            name,
            hue: participant.peer_id.as_bytes()[15] % HUES,
            me: link.is_none(),
            role: participant.role,
            status,
            reason,
            signalling_away: status == Some(Status::Connected) && !participant.present,
            microphone: MicrophoneMark::of(participant),
            strip: participant.strip,
            solo: false,
        }
    }
}

impl Card {
    /// Returns whether the audience hears this participant when they speak.
    pub(crate) fn is_on_air(&self) -> bool {
        self.strip.on_air
            && matches!(self.microphone, MicrophoneMark::Live | MicrophoneMark::Coughing)
            && matches!(self.status, None | Some(Status::Connected))
    }

    /// Returns whether *Mute NAME* is pressed: by oneself for oneself, by a host for others.
    pub(crate) fn shows_muted(&self) -> bool {
        self.strip.muted || (self.me && self.microphone == MicrophoneMark::Muted)
    }
}

/// Returns who is shown: the studio's engine is no person, has no card, no strip and no key.
pub(crate) fn people<'a>(
    participants: impl Iterator<Item = &'a Participant>,
) -> impl Iterator<Item = &'a Participant> {
    participants.filter(|participant| participant.role.is_person())
}

/// Puts into words what changed in the room, for those who cannot see it; none if it is
/// nothing to be told, or if the room was just entered.
pub(crate) fn announcement(before: &[Card], after: &[Card]) -> Option<String> {
    if before.is_empty() {
        return None;
    }
    let find = |cards: &[Card], peer| cards.iter().find(|card| card.peer == peer).cloned();
    let left = before.iter().filter(|card| find(after, card.peer).is_none());
    let mut words: Vec<String> = left.map(|card| format!("{} left.", card.name)).collect();
    for card in after {
        let Some(old) = find(before, card.peer) else {
            words.push(format!("{} joined.", card.name));
            continue;
        };
        words.extend(card.status.filter(|_| card.status != old.status).and_then(|status| {
            let told = match status {
                Status::Connected
                | Status::Reconnecting
                | Status::Disconnected
                | Status::Failed => status.label(),
                Status::Connecting | Status::Waiting => return None,
            };
            Some(format!("{}: {told}.", card.name))
        }));
        words.extend(strip_news(&old, card));
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn strip_news(before: &Card, after: &Card) -> Option<String> {
    let name = &after.name;
    if before.strip.muted != after.strip.muted {
        let told = if after.strip.muted { "muted by a host" } else { "no longer muted by a host" };
        return Some(format!("{name}: {told}."));
    }
    (before.strip.on_air != after.strip.on_air).then(|| {
        let told = if after.strip.on_air { "on air" } else { "off air" };
        format!("{name}: {told}.")
    })
}

/// Says how many are in the programme, for the light above it.
pub(crate) fn voices_words(cards: &[Card]) -> Option<String> {
    match cards.iter().filter(|card| card.is_on_air()).count() {
        0 => None,
        1 => Some("1 voice".to_owned()),
        voices => Some(format!("{voices} voices")),
    }
}

/// Puts cards in order: hosts, then the technical side, then callers; each by id, so
/// that nobody's card moves while they are in the room.
pub(crate) fn sort(cards: &mut [Card]) {
    cards.sort_by_key(|card| (card.role, card.peer));
}

/// Returns what a participant is called; clients without names get one of their id.
pub(crate) fn name_of(participant: &Participant) -> String {
    participant.name.as_ref().map_or_else(
        || format!("Guest {}", participant.peer_id.to_string().chars().take(4).collect::<String>()),
        |name| name.as_str().to_owned(),
    )
}

/// Returns the word for a role.
pub(crate) fn role_label(role: Role) -> &'static str {
    match role {
        Role::Host => "Host",
        Role::Ops => "Operator",
        Role::Caller => "Caller",
        Role::Engine => "Studio",
    }
}

/// Returns the first letters of the first and the last word of a name.
fn initials(name: &str) -> String {
    let mut words =
        name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let first = words.next();
    let letters = first.into_iter().chain(words.next_back());
    let text: String = letters.flat_map(char::to_uppercase).collect();
    if text.is_empty() { "·".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_session::wire::{DisplayName, Strip};
    use openstudio_units::Incarnation;

    fn participant(last: u8, role: Role) -> Participant {
        Participant {
            peer_id: format!("00000000-0000-4000-8000-0000000000{last:02x}").parse().unwrap(),
            role,
            name: Some(DisplayName::new("Ada Lovelace").unwrap()),
            incarnation: Incarnation(1),
            present: true,
            muted: false,
            microphone: true,
            strip: Strip::default(),
        }
    }

    fn link(state: ConnectionState, was_connected: bool) -> Link {
        Link { state, was_connected, trouble: None }
    }

    #[test]
    fn each_state_has_its_word() {
        use ConnectionState as S;
        let cases = [
            (S::Connected, false, true, "Connected"),
            (S::Connected, true, false, "Connected"),
            (S::Connecting, false, true, "Connecting…"),
            (S::Failed, false, true, "Connecting…"),
            (S::Connecting, true, true, "Reconnecting…"),
            (S::Failed, true, true, "Reconnecting…"),
            (S::Disconnected, true, true, "Reconnecting…"),
            (S::Disconnected, false, true, "Disconnected"),
            (S::Waiting, false, true, "Waiting…"),
            (S::FailedPermanent, true, true, "Failed"),
            (S::Connecting, true, false, "Disconnected"),
            (S::FailedPermanent, true, false, "Disconnected"),
        ];
        for (state, was, present, word) in cases {
            assert_eq!(
                Status::of(&link(state, was), present).label(),
                word,
                "{state} {was} {present}"
            );
        }
    }

    #[test]
    fn a_failed_card_gives_its_reason_and_others_do_not() {
        let trouble = Some(Trouble::IceFailed);
        let failed = Link { state: ConnectionState::FailedPermanent, was_connected: true, trouble };
        let card = Card::new(&participant(1, Role::Caller), Some(&failed));
        assert_eq!(card.reason.as_deref(), Some("No network path between the two of you works."));
        let waiting = Link { state: ConnectionState::Connecting, ..failed };
        assert_eq!(Card::new(&participant(1, Role::Caller), Some(&waiting)).reason, None);
    }

    #[test]
    fn what_a_host_does_to_a_strip_is_told() {
        use openstudio_session::wire::StripChange;
        let card = |strip| Card { strip, ..Card::new(&participant(1, Role::Caller), None) };
        let plain = card(Strip::default());
        let muted = card(Strip::default().changed(StripChange::muted(true)));
        let off = card(Strip::default().changed(StripChange::on_air(false)));
        let words = |before: &Card, after: &Card| {
            announcement(std::slice::from_ref(before), std::slice::from_ref(after))
        };
        assert_eq!(words(&plain, &muted).as_deref(), Some("Ada Lovelace: muted by a host."));
        assert_eq!(words(&plain, &off).as_deref(), Some("Ada Lovelace: off air."));
        assert_eq!(words(&plain, &plain), None);
        assert!(plain.is_on_air() && !off.is_on_air());
        assert!(muted.shows_muted() && !plain.shows_muted());
        assert_eq!(voices_words(&[plain.clone(), plain.clone()]).as_deref(), Some("2 voices"));
        assert_eq!(voices_words(&[off]), None);
    }

    #[test]
    fn whoever_is_muted_is_told_by_whom() {
        use openstudio_session::wire::StripChange;
        let strip = Strip::default().changed(StripChange::muted(true));
        let both = Participant { muted: true, strip, ..participant(1, Role::Caller) };
        let mark = |p: &Participant| Card::new(p, None).microphone.label();
        assert_eq!(mark(&both), Some("Muted by a host"));
        let own = Participant { muted: true, ..participant(1, Role::Caller) };
        assert_eq!(mark(&own), Some("Muted"));
        let absent = Participant { microphone: false, ..both };
        assert_eq!(mark(&absent), Some("No microphone"));
    }

    #[test]
    fn hosts_come_first_and_nobody_moves() {
        let mut cards: Vec<Card> =
            [(3, Role::Caller), (9, Role::Host), (2, Role::Caller), (4, Role::Host)]
                .map(|(id, role)| Card::new(&participant(id, role), None))
                .into();
        sort(&mut cards);
        let order: Vec<u8> = cards.iter().map(|card| card.peer.as_bytes()[15]).collect();
        assert_eq!(order, [4, 9, 2, 3]);
    }

    #[test]
    fn the_engine_is_nobody() {
        let all = [
            participant(1, Role::Engine),
            participant(2, Role::Caller),
            participant(3, Role::Host),
            participant(4, Role::Ops),
        ];
        let shown: Vec<Role> = people(all.iter()).map(|person| person.role).collect();
        assert_eq!(shown, [Role::Caller, Role::Host, Role::Ops]);
    }

    #[test]
    fn a_client_without_a_name_is_called_by_its_id() {
        let nameless = Participant { name: None, ..participant(7, Role::Caller) };
        assert_eq!(name_of(&nameless), "Guest 0000");
    }

    #[test]
    fn changes_are_announced_and_entering_is_not() {
        let link = |state| Link { state, ..Link::default() };
        let card = |id, state| Card::new(&participant(id, Role::Caller), Some(&link(state)));
        let one = [card(1, ConnectionState::Connecting)];
        let two = [card(1, ConnectionState::Connected), card(2, ConnectionState::Waiting)];
        assert_eq!(announcement(&[], &two), None);
        let words = announcement(&one, &two);
        assert_eq!(words.as_deref(), Some("Ada Lovelace: Connected. Ada Lovelace joined."));
        assert_eq!(announcement(&two, &two[..1]).as_deref(), Some("Ada Lovelace left."));
        assert_eq!(announcement(&one, &one), None);
    }

    #[test]
    fn initials_are_letters_of_the_first_and_last_word() {
        assert_eq!(initials("Ada King Lovelace"), "AL");
        assert_eq!(initials("ößwald"), "Ö");
        assert_eq!(initials("<b>x</b>"), "B");
        assert_eq!(initials("🎙 …"), "·");
    }
}
