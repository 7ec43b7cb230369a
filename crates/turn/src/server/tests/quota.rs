//! How many allocations there may be.

use turn_types::attribute::RequestedTransport;

use super::*;

#[test]
fn a_users_quota_is_exact_while_sockets_are_opened_in_any_order() {
    let number = 23;
    println!("seed {number}");
    let mut rng = Seed::from_number(number).rng();
    let mut bench = Bench::with(|config| {
        config.user_allocations = 5;
        config.allocations = 12;
    });
    let users = ["ada", "bob", "eve"];
    let mut live = vec![Vec::<Client>::new(); users.len()];
    let mut port = 1;
    for step in 0..3_000 {
        let user = usize::try_from(rng.between(0, 2)).unwrap();
        // Another expiry is the same user.
        bench.credentials = secret().credentials(users[user], 50 + rng.between(0, 9));
        match rng.between(0, 3) {
            0 | 1 => {
                port += 1;
                let client = udp(&format!("5.5.5.5:{port}"));
                let answer = bench.ask(client, ALLOCATE, &[&RequestedTransport::new(17)]);
                let all: usize = live.iter().map(Vec::len).sum();
                let wanted = match (live[user].len(), all) {
                    (5.., _) => Some(486),
                    (_, 12..) => Some(508),
                    _ => None,
                };
                assert_eq!(answer, wanted, "step {step}");
                if wanted.is_none() {
                    live[user].push(client);
                }
            }
            2 => {
                if !bench.opening.is_empty() {
                    let most = u64::try_from(bench.opening.len() - 1).unwrap();
                    let at = usize::try_from(rng.between(0, most)).unwrap();
                    let (id, _) = bench.opening.swap_remove(at);
                    let outcome = if rng.between(0, 3) == 0 {
                        let client = bench.server.allocations[&id].client;
                        live.iter_mut().for_each(|of| of.retain(|other| *other != client));
                        Err(RelayError)
                    } else {
                        bench.port += 1;
                        Ok(SocketAddr::new([9, 9, 9, 9].into(), bench.port))
                    };
                    bench.server.relay_opened(NOW, id, outcome);
                    bench.drain();
                }
            }
            _ => {
                let open = |client: &Client| {
                    let id = bench.server.clients[client];
                    bench.server.allocations[&id].address().is_some()
                };
                if let Some(at) = live[user].iter().position(open) {
                    let client = live[user].remove(at);
                    let id = bench.server.clients[&client];
                    bench.server.remove(id);
                    bench.drain();
                }
            }
        }
        assert_eq!(bench.server.allocations(), live.iter().map(Vec::len).sum::<usize>());
        let counted: usize = bench.server.users.values().sum();
        assert_eq!(counted, bench.server.allocations());
    }
}
