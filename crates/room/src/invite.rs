//! Invitations: who may give which, and what one is worth.

use openstudio_units::Role;
use openstudio_wire::{ErrorCode, ServerMessage, Token};

use crate::output::ConnId;
use crate::refusal::Refusal;
use crate::rooms::Rooms;
use crate::tokens::{Claims, InviteClaims};

impl Rooms {
    pub(crate) fn invite(&mut self, conn: ConnId, role: Role) -> Result<(), Refusal> {
        let (room_id, _, own) = self.seated_as(conn)?;
        match own {
            Some(own) if may_invite(own, role) => {}
            Some(own) if own.may_invite() => {
                return Err(Refusal::new(ErrorCode::Forbidden, "only a host can invite a host"));
            }
            Some(_) | None => {
                return Err(Refusal::new(ErrorCode::Forbidden, "only hosts and ops can invite"));
            }
        }
        let claims = Claims::Invite(InviteClaims { room: room_id, role });
        let invite_token = self.tokens.sign(&claims, self.config.invite_lifetime)?;
        self.send(conn, ServerMessage::InviteToken { invite_token, room_id, role });
        Ok(())
    }

    /// Reads an invitation.
    pub(crate) fn open_invite(&self, token: &Token) -> Result<InviteClaims, Refusal> {
        match self.tokens.verify(token)? {
            Claims::Invite(invite) => Ok(invite),
            Claims::Seat(_) | Claims::Download(_) => Err(Refusal::new(
                ErrorCode::WrongToken,
                "this token is no invitation; ask for a new link",
            )),
        }
    }
}

/// Returns whether `own` may invite somebody as `invited`.
fn may_invite(own: Role, invited: Role) -> bool {
    match own {
        Role::Host => invited.is_person(),
        Role::Ops => matches!(invited, Role::Ops | Role::Caller),
        Role::Caller | Role::Engine => false,
    }
}
