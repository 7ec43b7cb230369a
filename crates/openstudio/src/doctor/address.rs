//! Can the studio listen where it is to, and do browsers give microphones there?

use std::io;
use std::net::SocketAddr;

use openstudio_server::ServerConfig;
use tokio::net::TcpListener;

use super::finding::Finding;
use super::studio::Studio;

const ADDRESS: &str = "address";
const REDIRECT: &str = "redirect";

pub(crate) async fn check(config: &ServerConfig, studio: Option<&Studio>) -> Vec<Finding> {
    let mut found = vec![match studio {
        Some(studio) => running(config, studio),
        None => can_listen(ADDRESS, config.listen, "--listen").await,
    }];
    if let Some(redirect) = config.http_redirect
        && studio.is_none()
    {
        found.push(can_listen(REDIRECT, redirect, "--http-redirect").await);
    }
    found
}

fn running(config: &ServerConfig, studio: &Studio) -> Finding {
    let scheme = if studio.is_encrypted { "https" } else { "http" };
    let version = studio.version.as_ref().map_or(String::new(), |v| format!(" (version {v})"));
    let words = format!("a studio{version} answers at {scheme}://{}", config.listen);
    if studio.is_encrypted != config.tls.is_some() {
        return Finding::warn(
            ADDRESS,
            format!("{words}, which is not what the settings say of TLS"),
            "restart it, or give doctor the flags that it was started with",
        );
    }
    let Some(version) = &studio.version else {
        let words = format!("{words}, but has no certificate yet, so browsers cannot connect");
        return Finding::warn(ADDRESS, words, "see what the certificate check says");
    };
    if version != env!("CARGO_PKG_VERSION") {
        let advice = format!("this program is {}; restart the studio", env!("CARGO_PKG_VERSION"));
        return Finding::warn(ADDRESS, words, advice);
    }
    Finding::ok(ADDRESS, words)
}

async fn can_listen(check: &'static str, address: SocketAddr, flag: &str) -> Finding {
    let Err(error) = TcpListener::bind(address).await else {
        return Finding::ok(check, format!("{address} is free to listen on"));
    };
    refused(check, (address, ""), flag, &error)
}

/// What is said of an address that cannot be listened on. `by` is how, where that is not plain.
pub(super) fn refused(
    check: &'static str,
    (address, by): (SocketAddr, &str),
    flag: &str,
    error: &io::Error,
) -> Finding {
    let is = |kind| error.kind() == kind;
    let (words, advice) = if is(io::ErrorKind::AddrInUse) {
        let stranger = if check == ADDRESS { ", and it is no studio" } else { "" };
        (
            format!("another program has {address}{by}{stranger}"),
            format!("stop that program, or choose another address with {flag}"),
        )
    } else if is(io::ErrorKind::PermissionDenied) {
        (
            format!("this user may not listen on {address}{by}"),
            format!(
                "run `setcap cap_net_bind_service=+ep` on the program, give its service \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE, or choose a port above 1023 with {flag}"
            ),
        )
    } else if is(io::ErrorKind::AddrNotAvailable) {
        (
            format!("this machine does not have the address {}", address.ip()),
            format!("choose one of its own with {flag}, or 0.0.0.0 for all of them"),
        )
    } else {
        (
            format!("{address} cannot be listened on{by} ({error})"),
            format!("choose another address with {flag}"),
        )
    };
    Finding::fail(check, words, advice)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[tokio::test]
    async fn an_address_is_free_taken_or_not_there() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(can_listen(ADDRESS, address, "--listen").await.level(), Level::Fail);
        drop(taken);
        assert_eq!(can_listen(ADDRESS, address, "--listen").await.level(), Level::Ok);
        // TEST-NET-1 (RFC 5737): no machine has it.
        let nowhere = "192.0.2.1:0".parse().unwrap();
        assert_eq!(can_listen(ADDRESS, nowhere, "--listen").await.level(), Level::Fail);
    }
}
