//! Whom TLS trusts: Mozilla's roots, which are part of the binary.
//!
//! The system's certificates would be read at every start: one file of 200 KB on Amazon Linux, 300 files on Debian. Where another authority must be trusted, such as that of a proxy, `SSL_CERT_FILE` names a file with its
//! certificates, as it does for OpenSSL; it is read in addition.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Names a file with more certificates in PEM.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// The configuration of every connection.
pub(crate) fn config() -> ClientConfig {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = std::env::var_os(CERTIFICATES).filter(|file| !file.is_empty()) {
        match CertificateDer::pem_file_iter(&file) {
            Ok(certificates) => {
                let (added, ignored) = roots.add_parsable_certificates(certificates.flatten());
                tracing::debug!(added, ignored, "certificates of {CERTIFICATES}");
            }
            Err(error) => {
                tracing::warn!(error = %error, "the file in {CERTIFICATES} cannot be read");
            }
        }
    }
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}
