//! The table of public codes: code, status, meaning. docs/API.md prints it.

use axum::http::StatusCode;
use domain::kind::Kind;

macro_rules! codes {
    ($($name:ident = $code:literal, $status:ident, $meaning:literal;)*) => {
        /// A public error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// Every code, by status.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it appears on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status it is answered with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it means and what to do.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", BAD_REQUEST,
        "A field, parameter or header is missing or has a value it cannot have.";
    MalformedEvents = "malformed_events", BAD_REQUEST,
        "Some events were not taken; `events` lists them. The good ones are stored.";
    InvalidSetup = "invalid_setup", BAD_REQUEST,
        "The setup file breaks a rule; nothing of it was written.";
    MeteringBody = "METERING_BODY", BAD_REQUEST,
        "The body of an export request is not a JSON object, or a field has the wrong type.";
    MeteringFieldMissing = "METERING_FIELD_MISSING", BAD_REQUEST,
        "An export request lacks a required field.";
    MeteringDate = "METERING_DATE", BAD_REQUEST,
        "startDate or endDate is not an RFC 3339 date and time.";
    MeteringRange = "METERING_RANGE", BAD_REQUEST,
        "The range ends before it starts or is too long: 180 days, or 30 by folder or asset.";
    MeteringFlag = "METERING_FLAG", BAD_REQUEST,
        "A switch is neither TRUE nor FALSE.";
    MeteringJobType = "METERING_JOB_TYPE", BAD_REQUEST,
        "jobType is not SUMMARY, PROJECT_FOLDER or ASSET.";
    MeteringMeter = "METERING_METER", BAD_REQUEST,
        "meterId names no meter of the account.";
    MeteringNoJobLevel = "METERING_NO_JOB_LEVEL", BAD_REQUEST,
        "The meter has no job-level report: its layout is none.";
    MeteringCallback = "METERING_CALLBACK", BAD_REQUEST,
        "callbackUrl is not an http or https URL.";
    MeteringActiveJobs = "METERING_ACTIVE_JOBS", BAD_REQUEST,
        "The organization has as many unfinished jobs as it may have; wait for one to end.";
    MeteringNotFinished = "METERING_NOT_FINISHED", BAD_REQUEST,
        "The job has no file: it is not finished, or it failed. Ask for its status.";
    InvalidExport = "invalid_export", BAD_REQUEST,
        "The export cannot be planned; the detail says which field does not fit.";
    ExportRange = "export_range", BAD_REQUEST,
        "from and to are no whole UTC days, in the wrong order, or more than 366 days apart.";
    ExportKind = "export_kind", BAD_REQUEST,
        "The kind of export is unknown or not available yet.";
    InvalidAsOf = "invalid_as_of", BAD_REQUEST,
        "asOf is no watermark of this server, or one that is not reached yet.";
    TwoCredentials = "two_credentials", BAD_REQUEST,
        "The request carries more than one credential; send one.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED,
        "The credential is missing, unknown, expired or revoked.";
    WrongPassword = "wrong_password", UNAUTHORIZED,
        "The user name or the password is wrong.";
    MeteringDisabled = "METERING_DISABLED", FORBIDDEN,
        "The metering family is switched off for this organization.";
    Forbidden = "forbidden", FORBIDDEN,
        "The credential's role does not allow this.";
    NotFound = "not_found", NOT_FOUND,
        "There is no such thing, or not for this credential.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED,
        "The path exists but not with this method.";
    NotAcceptable = "not_acceptable", NOT_ACCEPTABLE,
        "None of the media types in Accept can be given.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT,
        "The request did not arrive in time.";
    Conflict = "conflict", CONFLICT,
        "It contradicts what is already there.";
    ExportNotReady = "export_not_ready", CONFLICT,
        "The export has no file: it is not finished, failed or was cancelled. Ask for its status.";
    ExportEnded = "export_ended", CONFLICT,
        "The export is over, or is a job of the metering family: it cannot be cancelled.";
    Gone = "gone", GONE,
        "It was kept once and has been removed by rule.";
    MeteringExpired = "METERING_EXPIRED", GONE,
        "The job's file was kept for some days and has been removed; ask for a new export.";
    ExportExpired = "export_expired", GONE,
        "The export's file was kept for some days and has been removed; ask for a new export.";
    MeteringLost = "METERING_LOST", GONE,
        "The job's file was damaged and could not be made again; ask for a new export.";
    ExportLost = "export_lost", GONE,
        "The export's file was damaged and could not be made again; ask for a new export.";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE,
        "The body is over the limit; send less at once.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE,
        "Content-Type or Content-Encoding is not one that is read here.";
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE,
        "The asked range lies outside of what is there.";
    Unprocessable = "unprocessable", UNPROCESSABLE_ENTITY,
        "The body is well-formed but cannot be carried out.";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY,
        "Another request came with this Idempotency-Key before; use a new key.";
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS,
        "A rate or count limit is reached; repeat after Retry-After seconds.";
    TooManyExports = "too_many_exports", TOO_MANY_REQUESTS,
        "The organization has as many unfinished exports as it may have; wait for one to end.";
    TooManyLogins = "too_many_logins", TOO_MANY_REQUESTS,
        "Too many logins of this user or address failed; repeat after Retry-After seconds.";
    Internal = "internal", INTERNAL_SERVER_ERROR,
        "A defect of the server; the log has the cause under the request id.";
    Corrupt = "corrupt", INTERNAL_SERVER_ERROR,
        "Stored data is damaged; the log names file and offset, or table and row.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE,
        "Something the request needs is away or refuses writes; repeat later.";
}

impl Code {
    /// The code of an error class of the crates below.
    pub fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Invalid => Self::InvalidRequest,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::Busy => Self::TooManyRequests,
            Kind::Unavailable => Self::Unavailable,
            Kind::Corrupt => Self::Corrupt,
            Kind::Gone => Self::Gone,
            Kind::Internal => Self::Internal,
        }
    }

    /// The code of a status that was given without one.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            status => {
                let same = Self::ALL.iter().find(|code| code.status() == status);
                let other = if status.is_client_error() {
                    Self::InvalidRequest
                } else {
                    Self::Internal
                };
                same.copied().unwrap_or(other)
            }
        }
    }

    /// The table as Markdown, as docs/API.md holds it.
    pub fn table() -> String {
        let mut table = String::from("| Code | Status | Meaning |\n|---|---|---|\n");
        for code in Self::ALL {
            let (text, status) = (code.as_str(), code.status().as_u16());
            let row = format!("| `{text}` | {status} | {} |\n", code.meaning());
            table.push_str(&row);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_statuss_own_or_shares_it_knowingly() {
        let texts: std::collections::HashSet<_> =
            Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert_eq!(Code::of_status(StatusCode::NOT_FOUND), Code::NotFound);
        assert_eq!(
            Code::of_status(StatusCode::IM_A_TEAPOT),
            Code::InvalidRequest
        );
        assert_eq!(Code::of_status(StatusCode::BAD_GATEWAY), Code::Internal);
    }
}
