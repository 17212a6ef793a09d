//! Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 of `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::webhook::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `webhook-signature`: one signature for each secret, the newest first.
pub(super) fn signatures(secrets: &[Secret], id: &str, seconds: i64, body: &str) -> String {
    let signed = format!("{id}.{seconds}.{body}");
    let signature = |secret: &Secret| {
        let hmac = Hmac::<Sha256>::new_from_slice(&secret.key());
        let hmac = hmac.expect("a key may have any length");
        let code = hmac.chain_update(&signed).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(code))
    };
    let all: Vec<_> = secrets.iter().map(signature).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example of the specification.
    #[test]
    fn the_specifications_example_is_signed_as_it_says() {
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let secrets = [SECRET.parse().unwrap()];
        let signature = signatures(&secrets, id, 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_sign_side_by_side() {
        let (new, old) = (Secret::of_key(&[1; 24]).unwrap(), SECRET.parse().unwrap());
        let alone = |secret: &Secret| signatures(std::slice::from_ref(secret), "a", 1, "b");
        let both = signatures(&[new.clone(), old], "a", 1, "b");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, alone(&new));
        assert_eq!(second, alone(&SECRET.parse().unwrap()));
    }
}
