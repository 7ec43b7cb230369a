//! HTTPS for the ACME library: one connection for each request.

use std::error::Error as StdError;
use std::pin::Pin;

use bytes::Bytes;
use http::Request;
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::client::ClientTls;

/// The largest answer that is read, bytes: a chain of certificates has below 10 KB.
const MAX_ANSWER: usize = 1 << 20;

/// Opens connections that are believed as the operator says.
#[derive(Debug)]
pub(super) struct Https(pub(super) ClientTls);

type BoxedError = Box<dyn StdError + Send + Sync>;

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = self.0.clone();
        Box::pin(async move { send(&tls, request).await.map_err(Error::Other) })
    }
}

async fn send(
    tls: &ClientTls,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, BoxedError> {
    let uri = request.uri();
    let Some(authority) = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS)) else {
        return Err(format!("the authority names `{uri}`, which is not https").into());
    };
    let stream = tls.connect(authority.as_str()).await?;
    let host = HeaderValue::from_str(authority.as_str())?;
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, host);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
        Ok(http::Response::from_parts(parts, Full::new(body)).into())
    };
    let exchange = std::pin::pin!(exchange);
    // The connection ends with the answer, and with this function at the latest.
    tokio::select! {
        answer = exchange => answer,
        ended = async {
            let ended = connection.await;
            if ended.is_ok() {
                std::future::pending::<()>().await;
            }
            ended
        } => Err(ended.err().map_or_else(|| "the connection ended".into(), Into::into)),
    }
}
