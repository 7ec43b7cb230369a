//! Which packets are lost: single ones, or bursts after Gilbert and Elliott.

use openstudio_units::Rng;

use crate::chance::Chance;

/// How packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Loss {
    /// None is.
    #[default]
    None,
    /// Each with this chance, whatever happened to the one before.
    Random(Chance),
    /// In bursts.
    Bursts(GilbertElliott),
}

/// A channel that is good or bad, and changes from packet to packet (Elliott, 1963).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GilbertElliott {
    /// From good to bad.
    pub worsen: Chance,
    /// From bad to good: one by the mean length of a bad time, in packets.
    pub recover: Chance,
    /// Loss while it is good.
    pub loss_in_good: Chance,
    /// Loss while it is bad.
    pub loss_in_bad: Chance,
}

impl GilbertElliott {
    /// Returns a channel that loses this share of all packets, in bursts of this mean length,
    /// each of them wholly lost (Gilbert's model).
    ///
    /// # Units and range
    /// `mean_length` in packets; less than one counts as one. A share of one or more is a
    /// channel that is always bad. Above a share of `mean_length / (mean_length + 1)` bursts
    /// follow each other after one packet, and fewer are lost than asked for.
    pub fn bursts(share: Chance, mean_length: f64) -> Self {
        let recover = 1.0 / mean_length.max(1.0);
        let share = share.probability();
        let worsen = if share < 1.0 { (recover * share / (1.0 - share)).min(1.0) } else { 1.0 };
        let chance = |p: f64| Chance::from_probability(p).unwrap_or(Chance::ALWAYS);
        Self {
            worsen: chance(worsen),
            recover: if share < 1.0 { chance(recover) } else { Chance::NEVER },
            loss_in_good: Chance::NEVER,
            loss_in_bad: Chance::ALWAYS,
        }
    }
}

/// Says of one packet after the other whether it is lost.
#[derive(Debug, Clone)]
pub struct LossProcess {
    loss: Loss,
    is_bad: bool,
    rng: Rng,
}

impl LossProcess {
    /// Begins in the good state.
    pub fn new(loss: Loss, rng: Rng) -> Self {
        Self { loss, is_bad: false, rng }
    }

    /// Goes on with another kind of loss.
    pub fn set(&mut self, loss: Loss) {
        self.loss = loss;
        self.is_bad = false;
    }

    /// Returns whether the next packet is lost.
    pub fn next_is_lost(&mut self) -> bool {
        match self.loss {
            Loss::None => false,
            Loss::Random(chance) => chance.draw(&mut self.rng),
            Loss::Bursts(channel) => {
                let changes = if self.is_bad { channel.recover } else { channel.worsen };
                self.is_bad ^= changes.draw(&mut self.rng);
                let chance = if self.is_bad { channel.loss_in_bad } else { channel.loss_in_good };
                chance.draw(&mut self.rng)
            }
        }
    }
}
