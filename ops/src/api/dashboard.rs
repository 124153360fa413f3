//! `GET /`: one page that shows the cluster, the pools and the leases of an address, by the API itself.
//!
//! The page holds no data and needs no token; what it asks for does, and it asks the person for one then.

use axum::http::header;
use axum::response::{Html, IntoResponse};

const PAGE: &str = include_str!("dashboard.html");

pub(super) async fn show() -> impl IntoResponse {
    // Nothing from elsewhere: the page works on a network without any other host.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(PAGE))
}
