//! How a hub is set up: the entries, and how the struct is read.

use core::ffi::c_char;

use tethered_core::config::{Config, Endpoint, Login, SockJs, Store};
use tethered_core::session::spring;

use crate::boundary;
use crate::kinds::tethered_config_flags::*;
use crate::kinds::tethered_endpoint_flags::*;
use crate::kinds::tethered_endpoint_kind::*;
use crate::kinds::tethered_store::*;
use crate::machine::Choices;
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::toml;
use crate::types::{tethered_config, tethered_endpoint, tethered_slice};

/// What a host gave.
pub(crate) struct Given {
    pub(crate) config: Config,
    pub(crate) choices: Choices,
}

/// Makes a configuration the default of everything: all of it becomes 0.
///
/// config: size bytes: sizeof *config as you know it. Nothing happens if it is NULL, or the size cannot be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_config_init(config: *mut tethered_config, size: usize) {
    let _ = boundary::catch(|| {
        // SAFETY: the header asks for `size` bytes at `config` that are the caller's own to write.
        unsafe { boundary::put_sized(config, size, tethered_config::DEFAULT) }
    });
}

/// Reads a configuration from TOML and puts it into a struct, where the other members outweigh it.
///
/// config, size: as for tethered_config_init, which comes before. toml: UTF-8; not copied: keep it until tethered_hub_new.
/// message, capacity: room for a sentence, with a NUL at its end, on what is wrong: its line, what it is about, and, where
/// a name is unknown, the nearest one that is. It may be NULL.
///
/// The text is that of the server's --config file, as far as a hub is concerned: session-timeout, touch-interval, cookie,
/// cookie-encoding, origin, require-origin, proxy, stomp-heartbeat, connect-csrf, redis-namespace, redis-layout,
/// redis-serializer, redis-cleanup, redis-principal-attribute, check-interval, sweep-interval, blind-time, and the
/// table limits; besides store ("memory", "redis", "external"), redis-database, redis-attributes (those that
/// tethered_details tells), relay, decide, requests, guarded (paths below which a request needs a login), application-prefix, rules ("open", or "sample": nobody sends to topics or
/// queues), and for each endpoint a table `[[endpoint]]` with path, protocol ("stomp", "raw"), login, any-origin,
/// max-message, max-unsent and sockjs (true: as TETHERED_ENDPOINT_SOCKJS), with sockjs-websocket, sockjs-jsessionid,
/// sockjs-jsonp, sockjs-stream, sockjs-heartbeat, sockjs-disconnect-delay and sockjs-client-url.
///
/// Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY; *config is then left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_config_parse(
    config: *mut tethered_config,
    size: usize,
    toml: tethered_slice,
    message: *mut c_char,
    capacity: usize,
) -> tethered_status {
    let read = boundary::catch(|| {
        boundary::afford(toml.len)?;
        // SAFETY: the header asks for `size` bytes at `config`, and the bytes of `toml`.
        unsafe {
            let mut given = boundary::sized(config.cast_const(), size, "config")?;
            toml::read(boundary::text(toml, "toml")?)?;
            given.toml = toml;
            boundary::put_sized(config, size, given)?;
        }
        Ok(TETHERED_OK)
    });
    // SAFETY: the header asks for room for `capacity` bytes at `message`, or NULL.
    unsafe { told(read, message, capacity) }
}

/// Says whether tethered_hub_new would take a configuration, and if not, what is wrong with it.
///
/// config, size: as for tethered_hub_new. message, capacity: as for tethered_config_parse.
///
/// Fails with TETHERED_E_ARGUMENT, TETHERED_E_VERSION and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_config_check(
    config: *const tethered_config,
    size: usize,
    message: *mut c_char,
    capacity: usize,
) -> tethered_status {
    let checked = boundary::catch(|| {
        boundary::afford(0)?;
        // SAFETY: the header asks for `size` bytes at `config` and all that they point to.
        let given = unsafe { read(config, size)? };
        given.config.validate().map_err(|error| wrong(error.to_string()))?;
        Ok(TETHERED_OK)
    });
    // SAFETY: the header asks for room for `capacity` bytes at `message`, or NULL.
    unsafe { told(checked, message, capacity) }
}

/// The status, and what is wrong as a sentence.
///
/// # Safety
/// `message` is NULL, or `capacity` bytes can be written there.
unsafe fn told(
    outcome: Outcome<crate::status::tethered_status_code>,
    message: *mut c_char,
    capacity: usize,
) -> tethered_status {
    let sentence = outcome.as_ref().err().and_then(|fault| fault.what.as_deref()).unwrap_or_default();
    // SAFETY: the same promise.
    unsafe { boundary::put_text(message, capacity, sentence) };
    status(outcome)
}

/// # Safety
/// `config` is NULL, or `size` bytes are readable there, and what they point to is readable too.
pub(crate) unsafe fn read(config: *const tethered_config, size: usize) -> Outcome<Given> {
    if config.is_null() {
        return Ok(Given { config: Config::default(), choices: Choices::default() });
    }
    // SAFETY: the caller promises as much.
    let (given, endpoints, toml, cookie, namespace) = unsafe {
        let given = boundary::sized(config, size, "config")?;
        let (first, count) = (given.endpoints, given.n_endpoints);
        (
            given,
            boundary::sized_array(first, count, given.endpoint_size, "config.endpoints")?,
            boundary::text(given.toml, "config.toml")?,
            boundary::text(given.cookie, "config.cookie")?,
            boundary::text(given.redis_namespace, "config.redis_namespace")?,
        )
    };
    let Given { mut config, mut choices } = toml::read(toml)?;
    flags(&given, &mut config, &mut choices)?;
    numbers(&given, &mut config)?;
    if !cookie.is_empty() {
        cookie.clone_into(&mut config.session.cookie);
    }
    store(&given, &mut config)?;
    if let Store::Spring(spring) = &mut config.store {
        if !namespace.is_empty() {
            namespace.clone_into(&mut spring.namespace);
        }
        if given.redis_database != 0 {
            spring.database = given.redis_database;
        }
    }
    if !endpoints.is_empty() {
        config.endpoints.clear();
        config.guarded.clear();
    }
    for endpoint in endpoints {
        // SAFETY: the caller promises as much.
        let path = unsafe { boundary::text(endpoint.path, "endpoint.path")? };
        config.endpoints.push(read_endpoint(&endpoint, path)?);
    }
    Ok(Given { config, choices })
}

fn flags(given: &tethered_config, config: &mut Config, choices: &mut Choices) -> Outcome<()> {
    let mut rest = given.flags;
    let mut has = |flag: u64| {
        let on = rest & flag != 0;
        rest &= !flag;
        on
    };
    choices.requests |= has(TETHERED_CONFIG_REQUESTS as u64);
    config.decide |= has(TETHERED_CONFIG_DECIDE as u64);
    config.relay |= has(TETHERED_CONFIG_RELAY as u64);
    if rest != 0 {
        return Err(wrong("config.flags has a flag that this library does not know"));
    }
    Ok(())
}

fn numbers(given: &tethered_config, config: &mut Config) -> Outcome<()> {
    if given.max_sockets != 0 {
        config.limits.total = u32::try_from(given.max_sockets).map_err(|_| wrong("config.max_sockets is too large"))?;
    }
    if given.idle_ms != 0 {
        config.session.timeout_ms = given.idle_ms;
    }
    if given.touch_ms != 0 {
        config.session.touch_interval_ms = given.touch_ms;
    }
    if given.max_message != 0 {
        let frame = usize::try_from(given.max_message).map_err(|_| wrong("config.max_message is too large"))?;
        config.limits.ws.message_bytes = given.max_message;
        config.limits.ws.frame_bytes = given.max_message;
        config.limits.stomp.frame_bytes = frame;
    }
    if given.send_buffer_bytes != 0 {
        config.limits.out_bytes =
            usize::try_from(given.send_buffer_bytes).map_err(|_| wrong("config.send_buffer_bytes is too large"))?;
    }
    Ok(())
}

fn store(given: &tethered_config, config: &mut Config) -> Outcome<()> {
    match given.store {
        store if store == TETHERED_STORE_MEMORY as u32 => {}
        store if store == TETHERED_STORE_EXTERNAL as u32 => config.store = Store::External,
        store if store == TETHERED_STORE_REDIS as u32 => {
            if !matches!(config.store, Store::Spring(_)) {
                config.store = Store::Spring(spring::Config::default());
            }
        }
        _ => return Err(wrong("config.store is none of tethered_store")),
    }
    Ok(())
}

fn read_endpoint(given: &tethered_endpoint, path: &str) -> Outcome<Endpoint> {
    let mut endpoint = match given.kind {
        kind if kind == TETHERED_ENDPOINT_RAW as u32 => Endpoint::raw(path),
        kind if kind == TETHERED_ENDPOINT_STOMP as u32 => Endpoint::stomp(path),
        _ => return Err(wrong("endpoint.kind is none of tethered_endpoint_kind")),
    };
    let (login, none) = (TETHERED_ENDPOINT_LOGIN as u32, TETHERED_ENDPOINT_NO_LOGIN as u32);
    let (any_origin, sockjs) = (TETHERED_ENDPOINT_ANY_ORIGIN as u32, TETHERED_ENDPOINT_SOCKJS as u32);
    if given.flags & !(login | none | any_origin | sockjs) != 0 {
        return Err(wrong("endpoint.flags has a flag that this library does not know"));
    }
    match (given.flags & login != 0, given.flags & none != 0) {
        (true, true) => return Err(wrong("endpoint.flags says both that a login is needed and that none is read")),
        (true, false) => endpoint.login = Login::Required,
        (false, true) => endpoint.login = Login::None,
        (false, false) => {}
    }
    endpoint.any_origin = given.flags & any_origin != 0;
    if endpoint.any_origin && endpoint.login == Login::Required {
        return Err(wrong("endpoint.flags: TETHERED_ENDPOINT_ANY_ORIGIN is only for endpoints without login"));
    }
    if given.flags & sockjs != 0 {
        endpoint = endpoint.with_sockjs(SockJs::default());
    }
    if given.max_message != 0 {
        endpoint.message_bytes = Some(given.max_message);
    }
    if given.max_unsent != 0 {
        let most = usize::try_from(given.max_unsent).map_err(|_| wrong("endpoint.max_unsent is too large"))?;
        endpoint.out_bytes = Some(most);
    }
    Ok(endpoint)
}
