//! Which parameters each route declares: those of the OpenAPI document, and no others.

use std::collections::{BTreeMap, HashMap};

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::Parameters;
use crate::error::{ApiError, ApiResult};

/// Starts of the paths whose parameters are checked.
const FAMILIES: [&str; 2] = ["/api/v1/", "/api/v2/"];

/// The parameters of every route of ours.
#[derive(Debug)]
pub struct Declared(HashMap<(String, Method), Route>);

/// The parameters that one route declares.
#[derive(Debug, Default)]
pub(super) struct Route(BTreeMap<String, Form>);

/// How a parameter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `name=value`, once.
    One,
    /// `name=value` or `name[]=value`, repeated.
    List,
    /// `name[key]=value`, repeated.
    ByKey,
}

impl Declared {
    /// Reads the document.
    pub fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).expect("the document is JSON");
        let mut routes = HashMap::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            if !FAMILIES.iter().any(|family| path.starts_with(family)) {
                continue;
            }
            for (method, operation) in item.as_object().into_iter().flatten() {
                if let Ok(method) = method.to_ascii_uppercase().parse() {
                    routes.insert((path.clone(), method), Route::of(operation));
                }
            }
        }
        Self(routes)
    }

    /// The route of a path as matched.
    pub(super) fn route(&self, path: &str, method: &Method) -> Option<&Route> {
        let is_head = *method == Method::HEAD;
        let method = if is_head { &Method::GET } else { method };
        self.0.get(&(path.to_owned(), method.clone()))
    }
}

impl Route {
    fn of(operation: &Value) -> Self {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_query = parameters.filter(|parameter| parameter["in"] == "query");
        let named = in_query.filter_map(|parameter| {
            let name = parameter["name"].as_str()?.to_owned();
            Some((name, Form::of(&parameter["schema"])))
        });
        Self(named.collect())
    }

    /// Refuses what is not declared, not in its form, or there twice.
    pub(super) fn check(&self, sent: &Parameters) -> ApiResult<()> {
        let mut once = Vec::new();
        for (name, _) in sent.iter() {
            let base = name.split('[').next().unwrap_or(name);
            let Some(form) = self.0.get(base) else {
                return Err(self.unknown(name));
            };
            if !form.fits(&name[base.len()..]) {
                let message = format!("{name} is no parameter: expected {}", form.example(base));
                return Err(ApiError::invalid(message));
            }
            if *form == Form::One && once.contains(&base) {
                let message = format!("{name} is there more than once: expected it once");
                return Err(ApiError::invalid(message));
            }
            once.push(base);
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> ApiError {
        let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let expected = match known.as_slice() {
            [] => "no parameters".to_owned(),
            known => known.join(", "),
        };
        ApiError::invalid(format!("unknown parameter {name:?}: expected {expected}"))
    }
}

impl Form {
    fn of(schema: &Value) -> Self {
        let is = |name: &str| match &schema["type"] {
            Value::Array(types) => types.iter().any(|found| found == name),
            found => found == name,
        };
        if is("array") {
            Self::List
        } else if is("object") {
            Self::ByKey
        } else {
            Self::One
        }
    }

    /// Whether a name may end so.
    fn fits(self, rest: &str) -> bool {
        let key = rest.strip_prefix('[').and_then(|key| key.strip_suffix(']'));
        match self {
            Self::One => rest.is_empty(),
            Self::List => rest.is_empty() || rest == "[]",
            Self::ByKey => key.is_some_and(|key| !key.is_empty() && !key.contains(['[', ']'])),
        }
    }

    fn example(self, name: &str) -> String {
        match self {
            Self::One => format!("{name}=VALUE"),
            Self::List => format!("{name}=VALUE, repeated for more"),
            Self::ByKey => format!("{name}[NAME]=VALUE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(query: &str) -> String {
        let parameter = |name: &str, schema| json!({"in": "query", "name": name, "schema": schema});
        let route = Route::of(&json!({"parameters": [
            parameter("from", json!({"type": ["string", "null"]})),
            parameter("subject", json!({"type": ["array", "null"]})),
            parameter("filter", json!({"type": "object"})),
            {"in": "header", "name": "Prefer"},
        ]}));
        let sent = Parameters::parse(Some(query)).unwrap();
        route
            .check(&sent)
            .err()
            .map_or_else(String::new, |error| error.message)
    }

    #[test]
    fn each_parameter_has_its_form_and_others_are_unknown() {
        let shown = [
            "from=1&subject=a&subject[]=b&filter[x]=1&filter[x]=2&filter[y]=",
            "from=1&from=1",
            "from[]=1",
            "subject[0]=a",
            "filter=%7B%7D",
            "filter[]=1",
            "filter[a][b]=1",
            "Prefer=1",
            "From=1",
        ]
        .map(refused);
        insta::assert_snapshot!(shown.join("\n"), @r#"

        from is there more than once: expected it once
        from[] is no parameter: expected from=VALUE
        subject[0] is no parameter: expected subject=VALUE, repeated for more
        filter is no parameter: expected filter[NAME]=VALUE
        filter[] is no parameter: expected filter[NAME]=VALUE
        filter[a][b] is no parameter: expected filter[NAME]=VALUE
        unknown parameter "Prefer": expected filter, from, subject
        unknown parameter "From": expected filter, from, subject
        "#);
    }
}
